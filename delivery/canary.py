"""A bird in the mine: beat sends a task every few seconds, and whoever carries it out says so here."""

from datetime import timedelta

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from delivery.models import Canary


def mark_seen() -> None:
    Canary.objects.update_or_create(pk=1, defaults={"seen_at": Now()})


def age_seconds() -> float | None:
    """Seconds since a worker last carried out the canary task, by the database's clock; None: never."""
    age = ExpressionWrapper(Now() - F("seen_at"), output_field=DurationField())
    found: timedelta | None = (
        Canary.objects.filter(pk=1).annotate(age=age).values_list("age", flat=True).first()
    )
    return None if found is None else found.total_seconds()
