"""Reads. Each starts from the organization."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from delivery.models import Attempt, Delivery, Event, EventBody, Replay
from subscriptions.models import Organization
from webhooks_project.errors import NotFound


def is_body_kept() -> Exists:
    """Of a delivery: is there still what it sends, or has the retention deleted it?"""
    return Exists(EventBody.objects.filter(pk=OuterRef("body_id")))


def deliveries(organization: Organization) -> QuerySet[Delivery]:
    """The organization's deliveries, newest first."""
    rows = Delivery.objects.filter(organization=organization).select_related("event")
    return rows.annotate(body_kept=is_body_kept()).order_by("-id")


def delivery_get(organization: Organization, delivery_id: UUID, *, lock: bool = False) -> Delivery:
    """Raises NotFound, also for what belongs to another organization."""
    rows = deliveries(organization)
    if lock:
        rows = rows.select_for_update(of=("self",))
    delivery = rows.filter(id=delivery_id).first()
    if delivery is None:
        raise NotFound(f"Delivery {delivery_id} not found in organization {organization.public_id}")
    return delivery


def attempts(organization: Organization) -> QuerySet[Attempt]:
    """The organization's attempt log, newest first."""
    return Attempt.objects.filter(organization=organization).order_by("-id")


def of_subject(organization: Organization, subject: str) -> QuerySet[Event]:
    """The events about one thing (a run), oldest first, with their deliveries and attempts."""
    log = Prefetch("attempt_log", queryset=Attempt.objects.order_by("id"))
    rows = Delivery.objects.annotate(body_kept=is_body_kept()).order_by("id")
    made = Prefetch("deliveries", queryset=rows.prefetch_related(log))
    return (
        Event.objects.filter(organization=organization, subject=subject).order_by("id").prefetch_related(made)
    )


def replays(organization: Organization) -> QuerySet[Replay]:
    """The organization's replays, newest first; those of all organizations are the operator's."""
    return Replay.objects.filter(organization=organization).order_by("-id")


def replay_get(organization: Organization, replay_id: UUID) -> Replay:
    """Raises NotFound, also for what belongs to another organization."""
    replay = replays(organization).filter(id=replay_id).first()
    if replay is None:
        raise NotFound(f"Replay {replay_id} not found in organization {organization.public_id}")
    return replay
