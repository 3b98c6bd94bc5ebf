"""An event that is still to be told to recipients, and how far that has come."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from subscriptions.event_types import PayloadFormat
from subscriptions.ids import uuid7
from subscriptions.models import choices


class FanOut(models.Model):
    """The recipients of an event in one payload format. The row goes when each has its delivery.

    They are those who matched when the event happened, by id: whatever becomes of a subscription until its
    turn comes, it has one delivery. 10,000 ids are 80 KB.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.ForeignKey("delivery.Event", on_delete=models.CASCADE, related_name="fan_outs")
    payload_format = models.CharField(max_length=32, choices=choices(PayloadFormat))
    subscription_ids = ArrayField(models.BigIntegerField())
    done = models.PositiveIntegerField(default=0, db_default=0, help_text="So many of them have a delivery.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    next_chunk_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # delivery/turns.py: whose turn it is.
            models.Index(fields=["next_chunk_at"], name="fan_out_due")
        ]

    def __str__(self) -> str:
        return f"{self.payload_format} of {self.event_id}"
