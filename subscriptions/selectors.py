"""Reads. Each starts from the organization."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Q, QuerySet

from subscriptions.event_types import BY_NAME_ONLY, EVERY_EVENT
from subscriptions.models import Organization, SigningSecret, Subscription
from webhooks_project.errors import NotFound


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


def matching(*, organization_id: int, event_type: str, workflow_id: str) -> QuerySet[Subscription]:
    """Those who asked for such an event: the recipients at this moment, disabled ones among them.

    An event without a workflow (a custom one) reaches subscriptions that are limited to none.
    """
    names = [event_type] if event_type in BY_NAME_ONLY else [event_type, EVERY_EVENT]
    return Subscription.objects.filter(
        Q(workflow_ids=[]) | Q(workflow_ids__contains=[workflow_id]),
        organization_id=organization_id,
        is_active=True,
        events__overlap=names,
    ).order_by("id")


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
