"""A bird in the mine: beat sends a task every few seconds, and whoever carries it out says so here."""

from django.db.models.functions import Now
from django.utils import timezone

from delivery.models import Canary


def mark_seen() -> None:
    Canary.objects.update_or_create(pk=1, defaults={"seen_at": Now()})


def age_seconds() -> float | None:
    """Seconds since a worker last carried out the canary task; None: never."""
    row = Canary.objects.filter(pk=1).first()
    return None if row is None else (timezone.now() - row.seen_at).total_seconds()
