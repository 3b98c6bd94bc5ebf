"""The roles of staff users: Django permission groups, kept to what this table says.

A migration makes them; after each `migrate` they are given what the table has and they lack, for
permissions of later models appear only then. Nothing is ever taken from them, so what an operator
adds to a role stays; what a later version takes out of the table, its migration takes away.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.management import create_permissions

VIEWER, OPERATOR, ADMINISTRATOR = "viewer", "operator", "administrator"

# Lists and metadata; bodies and secrets have permissions of their own.
VIEWED = {
    "subscriptions": "organization apikey subscription signingsecret notice auditentry",
    "delivery": "event eventbody delivery attempt replay canary worker slowreceiver",
    "runs": "workflow workflowversion run step",
}
OPERATED = {
    "subscriptions": "switch_subscription test_subscription recover_subscription",
    "delivery": "see_bodies replay_delivery cancel_delivery recover_delivery export_delivery export_attempt "
    "start_replay pause_replay resume_replay cancel_replay",
}
ADMINISTERED = {
    "subscriptions": "see_secrets add_organization change_organization add_apikey change_apikey "
    "revoke_apikey add_subscription change_subscription delete_subscription rotate_subscription",
    "runs": "change_workflow",
    # Accounts are deactivated, not deleted; groups are the superuser's.
    "auth": "view_user add_user change_user view_group",
}


def _names(table: dict[str, str], verb: str = "") -> Iterator[tuple[str, str]]:
    for app, names in table.items():
        yield from ((app, f"{verb}{name}") for name in names.split())


ROLES: dict[str, frozenset[tuple[str, str]]] = {VIEWER: frozenset(_names(VIEWED, "view_"))}
ROLES[OPERATOR] = ROLES[VIEWER] | frozenset(_names(OPERATED))
ROLES[ADMINISTRATOR] = ROLES[OPERATOR] | frozenset(_names(ADMINISTERED))
APPS = sorted({app for permissions in ROLES.values() for app, _ in permissions})


def give(apps: Any, using: str) -> None:
    """Each role what it lacks of the table. A permission that is not there yet comes after its migration."""
    groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    rows = permissions.objects.using(using).filter(content_type__app_label__in=APPS)
    known = {(row.content_type.app_label, row.codename): row for row in rows.select_related("content_type")}
    for role, wanted in ROLES.items():
        group, _ = groups.objects.using(using).get_or_create(name=role)
        group.permissions.add(*(known[name] for name in wanted if name in known))


def make(apps: Any, schema_editor: Any) -> None:
    """In a migration: the permissions of the models so far, which else come after it, and the roles."""
    using = schema_editor.connection.alias
    for label in APPS:
        config = apps.get_app_config(label)
        # A migration's apps have no module of models, without which Django makes no permissions.
        config.models_module = True
        create_permissions(config, apps=apps, verbosity=0, using=using)
        config.models_module = None
    give(apps, using)


def after_migrate(*, apps: Any, using: str, **_: Any) -> None:
    """Receiver of `post_migrate` of the last of our apps: all permissions are there."""
    give(apps, using)
