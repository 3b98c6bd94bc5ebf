"""Who may see and do what in the admin: role x page x action. A page without a line here fails."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery, EventBody
from runs.models import Run, Step, Workflow
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import ApiKey, Organization
from tests.admin_pages import ask, member
from tests.factories import answer
from tests.integration.test_admin import a_run
from webhooks_project import roles

__all__ = ["a_run"]

ROLES = ("viewer", "operator", "administrator")
# From which role on: v(iewer), o(perator), a(dministrator), s(uperuser), or nobody (-).
RANK = {"v": 0, "o": 1, "a": 2, "s": 3, "-": 4}
RECORD = "changelist:v change:v history:v add:- delete:-"
PAGES = {
    "auth_group": "changelist:a change:a history:a add:s delete:s",
    "auth_user": "changelist:a change:a history:a add:a delete:s password_change:a",
    "delivery_attempt": f"{RECORD} export_csv:o export_jsonl:o",
    "delivery_canary": RECORD,
    "delivery_delivery": f"{RECORD} export_csv:o export_jsonl:o body:o",
    "delivery_event": RECORD,
    "delivery_eventbody": RECORD,
    "delivery_replay": f"{RECORD} start:o",
    "delivery_worker": RECORD,
    "delivery_slowreceiver": RECORD,
    "runs_run": RECORD,
    "runs_step": RECORD,
    "runs_workflow": f"{RECORD} webhook_version:v",
    "runs_workflowversion": RECORD,
    "subscriptions_apikey": "changelist:v change:v history:v add:a delete:-",
    "subscriptions_auditentry": RECORD,
    "subscriptions_notice": RECORD,
    "subscriptions_organization": "changelist:v change:v history:v add:a delete:-",
    "subscriptions_signingsecret": RECORD,
    "subscriptions_subscription": "changelist:v change:v history:v add:a delete:a",
}
ACTIONS = {
    "auth_group": "delete_selected:s",
    "auth_user": "delete_selected:s",
    "delivery_delivery": "replay:o cancel:o recover:o",
    "delivery_replay": "pause:o resume:o cancel:o",
    "subscriptions_apikey": "revoke:a",
    "subscriptions_subscription": "enable:o disable:o rotate_secret:a delete_selected:a send_test:o "
    "recover_held:o",
}
# Of the site itself: for everybody who is logged in.
SITE = set("index login logout password_change password_change_done autocomplete jsi18n app_list".split())
NAMELESS = {None, "view_on_site"}


def table(lines: dict[str, str]) -> dict[str, int]:
    """`<model>_<page>` and from which rank on."""
    return {
        f"{model}_{name}": RANK[letter]
        for model, line in lines.items()
        for name, _, letter in (entry.partition(":") for entry in line.split())
    }


def named_pages() -> set[str]:
    names: set[str | None] = set()

    def walk(patterns: list[Any]) -> None:
        for pattern in patterns:
            if hasattr(pattern, "url_patterns"):
                walk(pattern.url_patterns)
            else:
                names.add(pattern.name)

    walk(site.urls[0])
    return {str(name) for name in names - NAMELESS - SITE}


def address(page: str, key: Any) -> str:
    try:
        return reverse(f"admin:{page}")
    except NoReverseMatch:
        return reverse(f"admin:{page}", args=[key])


def key_for(page: str) -> Any:
    app, model, _ = page.split("_", 2)
    rows = apps.get_model(app, model)._default_manager
    return rows.order_by("pk").values_list("pk", flat=True)[0]


def fits(page: str) -> bool:
    """Does the action make sense as the object of `key_for` stands?"""
    app, model, action = page.split("_", 2)
    kind = apps.get_model(app, model)
    offered = site.get_model_admin(kind).actions_of_page  # type: ignore[attr-defined]
    return action in offered(kind._default_manager.get(pk=key_for(page)))


def test_each_page_has_a_line_in_the_table() -> None:
    assert named_pages() == set(table(PAGES))


def test_each_action_has_an_entry_in_the_table() -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("root")
    offered = {
        f"{model._meta.app_label}_{model._meta.model_name}_{name}"
        for model, model_admin in site._registry.items()
        for name in model_admin.get_actions(request)
    }

    assert offered == set(table(ACTIONS))


@pytest.mark.parametrize("role", ROLES)
def test_pages_open_for_those_roles_only(a_run: str, api: APIClient, role: str) -> None:
    client, rank = member(role), ROLES.index(role)
    found, expected = {}, {}
    for page, needed in table(PAGES).items():
        if page.startswith("runs_workflow_webhook"):
            continue
        status = client.get(address(page, key_for(page))).status_code
        found[page] = "open" if status in (200, 302) else status
        expected[page] = "open" if rank >= needed else 403

    assert found == expected


@pytest.mark.parametrize("role", ROLES)
def test_actions_are_offered_to_those_roles_only_in_lists_and_on_pages(
    a_run: str, api: APIClient, role: str
) -> None:
    client, rank = member(role), ROLES.index(role)
    for page, needed in table(ACTIONS).items():
        app, model, action = page.split("_", 2)
        if app == "auth" and rank < RANK["a"]:
            continue
        listed = client.get(reverse(f"admin:{app}_{model}_changelist")).content.decode()
        opened = client.get(address(f"{app}_{model}_change", key_for(page))).content.decode()
        asked = ask(client, reverse(f"admin:{app}_{model}_changelist"), action, key_for(page))
        assert (f'<option value="{action}">' in listed) is (rank >= needed), page
        if action != "delete_selected":
            assert (f'name="action" value="{action}"' in opened) is (rank >= needed and fits(page)), page
            assert ('name="confirmed"' in asked) is (rank >= needed), page


def test_the_table_of_roles_names_every_model_of_the_admin_and_only_permissions_that_exist() -> None:
    ours = [model for model in site._registry if model._meta.app_label in roles.VIEWED]
    viewed = {(model._meta.app_label, f"view_{model._meta.model_name}") for model in ours}
    existing = set(Permission.objects.values_list("content_type__app_label", "codename"))

    assert roles.ROLES["viewer"] == viewed
    for role, wanted in roles.ROLES.items():
        group = Group.objects.get(name=role)
        given = set(group.permissions.values_list("content_type__app_label", "codename"))
        assert given == wanted <= existing


def test_what_an_operator_added_to_a_role_survives_a_migration_and_what_is_missing_comes_back() -> None:
    group = Group.objects.get(name="viewer")
    own = Permission.objects.get(codename="see_bodies")
    group.permissions.add(own)
    group.permissions.remove(Permission.objects.get(codename="view_run"))

    call_command("migrate", verbosity=0)

    codenames = set(group.permissions.values_list("codename", flat=True))
    group.permissions.remove(own)
    assert {"see_bodies", "view_run"} <= codenames


def test_roles_are_made_by_the_migration_itself_before_any_permission_is() -> None:
    try:
        Group.objects.all().delete()
        Permission.objects.all().delete()
        with connection.schema_editor() as editor:
            roles.make(MigrationExecutor(connection).loader.project_state().apps, editor)
        found = {
            name: set(
                Group.objects.get(name=name).permissions.values_list("content_type__app_label", "codename")
            )
            for name in roles.ROLES
        }
    finally:
        call_command("migrate", verbosity=0)

    assert found == roles.ROLES


BODY = "body-that-not-all-may-read"


@pytest.fixture
def read_pages(a_run: str) -> list[str]:
    """Each page that shows a body, an answer, or what a run took or gave; each has the text in it."""
    Run.objects.update(input={"text": BODY}, output={"text": BODY})
    Step.objects.update(input={"text": BODY})
    Attempt.objects.update(response_body=BODY, response_headers={"X-Answer": BODY})
    EventBody.objects.update(body=BODY.encode())
    rows: list[Any] = [Run, Step, Attempt, EventBody, Delivery]
    return [address(f"{m._meta.app_label}_{m._meta.model_name}_change", m.objects.all()[0].pk) for m in rows]


def test_bodies_are_for_those_who_may_see_them(read_pages: list[str]) -> None:
    viewer, operator = member("viewer"), member("operator")

    for page in read_pages:
        assert BODY in operator.get(page).content.decode(), page
        text = viewer.get(page).content.decode()
        assert BODY not in text, page
        assert "you lack the permission to see bodies" in text, page


def test_previews_of_leap_s_bodies_are_for_those_who_may_see_them(api: APIClient) -> None:
    made = answer(api.post("/v1/workflows", {"name": "w", "dialect": "leap"}), 201)
    page = address("runs_workflow_webhook_version", Workflow.objects.get(public_id=made["id"]).pk)

    assert b"you lack the permission to see bodies" in member("viewer").get(page).content
    assert b"you lack" not in member("operator").get(page).content


def test_a_new_secret_is_for_those_who_may_see_it(organization: Organization) -> None:
    client = member("administrator")
    see = Permission.objects.get(codename="see_secrets")
    page, data = (
        "/admin/subscriptions/apikey/add/",
        {"organization": organization.pk, "scopes": ["runs:read"]},
    )

    seen = client.post(page, data).content.decode()
    User.objects.get().groups.clear()
    kept = Permission.objects.filter(group__name="administrator").exclude(pk=see.pk)
    User.objects.get().user_permissions.set(kept)
    unseen = client.post(page, data).content.decode()

    assert "rhk_" in seen
    assert "rhk_" not in unseen
    assert "you lack the permission to see new secrets" in unseen
    assert ApiKey.objects.count() == 2


def test_an_administrator_gives_roles_and_it_is_noted() -> None:
    client = member("administrator")
    colleague = User.objects.create_user("colleague", "long-enough-1234")
    page = f"/admin/auth/user/{colleague.pk}/change/"
    data = {"username": "colleague", "is_active": "on", "is_staff": "on"}

    client.post(page, data | {"groups": [Group.objects.get(name="operator").pk], "is_superuser": "on"})

    colleague.refresh_from_db()
    assert (colleague.is_staff, colleague.is_superuser) == (True, False)
    assert [group.name for group in colleague.groups.all()] == ["operator"]
    noted = AuditEntry.objects.get()
    actor = User.objects.get(username="a-administrator")
    assert (noted.action, noted.object_id) == ("user.updated", f"colleague (#{colleague.pk})")
    assert noted.actor == f"a-administrator (#{actor.pk})"
    assert (noted.before["groups"], noted.after["groups"]) == ([], ["operator"])


def test_nobody_rises_above_what_they_have() -> None:
    client = member("administrator")
    root = User.objects.create_superuser("root")
    own = Group.objects.create(name="auditors")
    own.permissions.add(Permission.objects.get(codename="change_group"))
    sleeping = User.objects.create_user("sleeping", is_active=False)
    sleeping.groups.add(own)
    colleague = User.objects.create_user("colleague")

    try:
        for account in (root, sleeping):
            for page in ("change", "password"):
                url = f"/admin/auth/user/{account.pk}/{page}/"
                refused = client.post(
                    url, {"username": "x", "password1": "Zq8-long-enough", "password2": "Zq8-long-enough"}
                )
                assert refused.status_code == 403, url
        page = f"/admin/auth/user/{colleague.pk}/change/"
        client.post(page, {"username": "colleague", "groups": [own.pk], "user_permissions": [1]})
        assert not colleague.groups.exists()
        assert not colleague.user_permissions.exists()
    finally:
        own.delete()
