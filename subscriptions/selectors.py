"""Reads. Each starts from the organization."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from subscriptions.event_types import BY_NAME_ONLY, EVERY_EVENT
from subscriptions.models import Organization, SigningSecret, Subscription
from webhooks_project.arrays import array
from webhooks_project.errors import NotFound
from webhooks_project.statements import Statement


def of_organization(organization: Organization) -> QuerySet[Subscription]:
    """The organization's subscriptions, oldest first; deleted ones do not exist for it."""
    return Subscription.objects.filter(organization=organization, deleted_at=None).order_by(
        "created_at", "id"
    )


def subscription_get(
    organization: Organization, subscription_id: int, *, lock: bool = False, also_deleted: bool = False
) -> Subscription:
    """Raises NotFound, also for what belongs to another organization."""
    known = Subscription.objects.filter(organization=organization)
    rows = known if also_deleted else of_organization(organization)
    if lock:
        rows = rows.select_for_update()
    subscription = rows.filter(id=subscription_id).first()
    if subscription is None:
        raise NotFound(f"Webhook {subscription_id} not found in organization {organization.public_id}")
    return subscription


class Recipient(NamedTuple):
    """What an event needs to know of a subscription."""

    id: int
    payload_format: str
    url: str
    disabled_at: datetime | None


# Ids are above 0.
NOBODY = 0
# Who asked for an event; its values are those of `matching`.
MATCHING = """organization_id = %(organization_id)s AND is_active AND events && %(names)s::varchar[]
  AND id <> %(not_to)s
  AND (workflow_ids = '{}' OR workflow_ids @> %(workflows)s::varchar[])"""
RECIPIENTS = Statement(
    "runhooks_recipients",
    f"""
SELECT id, payload_format, url, disabled_at FROM subscriptions_subscription
WHERE {MATCHING} LIMIT %(most)s
""",  # noqa: S608 - a part of this file; values are parameters
)


def matching(
    *, organization_id: int, event_type: str, workflow_id: str, not_to: int = NOBODY
) -> dict[str, Any]:
    """An event without a workflow (a custom one) reaches subscriptions that are limited to none.

    `not_to` is a subscription that is not told, whatever it asked for.
    """
    names = [event_type] if event_type in BY_NAME_ONLY else [event_type, EVERY_EVENT]
    workflows = array([workflow_id])
    return {
        "organization_id": organization_id,
        "names": array(names),
        "workflows": workflows,
        "not_to": not_to,
    }


def recipients(
    *, organization_id: int, event_type: str, workflow_id: str, most: int, not_to: int = NOBODY
) -> list[Recipient]:
    """Those who asked for such an event: the recipients at this moment, disabled ones among them; some
    `most` of them if there are more.

    In SQL, for each event asks this: through the ORM it costs ten times the CPU. Sorted here, for there the
    limit would be reached only after all were sorted.
    """
    asked = matching(
        organization_id=organization_id, event_type=event_type, workflow_id=workflow_id, not_to=not_to
    )
    return sorted(Recipient(**row) for row in RECIPIENTS.run(asked | {"most": most}))


def recipient(subscription: Subscription) -> Recipient:
    return Recipient(subscription.pk, subscription.payload_format, subscription.url, subscription.disabled_at)


def still_disabled(subscription_ids: Sequence[int]) -> set[int]:
    """Which of them the service has disabled; these stay so until the caller's transaction ends.

    What its owner has stopped meanwhile is not among them: nobody would recover what is held for it.
    """
    # A shared lock, which Django has no word for: many events at once hold it side by side.
    query = """SELECT id FROM subscriptions_subscription
        WHERE id = ANY(%s) AND is_active AND disabled_at IS NOT NULL FOR SHARE"""
    with connection.cursor() as cursor:
        cursor.execute(query, [list(subscription_ids)])
        return {id_ for (id_,) in cursor.fetchall()}


def has_secret(subscription: Subscription) -> bool:
    """Does seed 001's header go with its requests? (Prefetch `signing_secrets` for lists.)"""
    return any(secret.kind == SigningSecret.Kind.TEXT for secret in subscription.signing_secrets.all())
