"""How far the retention is: of each organization's bodies, and as a whole."""

from django.db import models

from subscriptions.models import Organization


class BodiesMark(models.Model):
    """Bodies of events up to this key are gone.

    Events stay when their bodies go: without the mark each pass would look at all of them again.
    """

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, primary_key=True, related_name="+", db_constraint=False
    )
    up_to = models.UUIDField()

    def __str__(self) -> str:
        return str(self.up_to)


class RetentionMark(models.Model):
    """One row: when beat last had it done."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    ended_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, help_text="When a pass last got through everything.")

    def __str__(self) -> str:
        return f"ended {self.ended_at}"
