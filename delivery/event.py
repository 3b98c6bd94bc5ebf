"""Events and their frozen bodies."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from subscriptions.event_types import RUN_ENDED, PayloadFormat
from subscriptions.ids import uuid7
from subscriptions.models import Organization, choices


class Event(models.Model):
    """Something that happened to a run or step, or a custom event of the platform.

    `subject` and `source` are the ids of what it is about (a run) and where it came from (a
    workflow), as in CloudEvents; this app gives them no further meaning.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    event_id = models.CharField(max_length=64)
    type = models.CharField(max_length=128)
    source = models.CharField(max_length=128, blank=True)
    subject = models.CharField(max_length=128, blank=True)
    is_test = models.BooleanField(default=False)
    recipients = models.PositiveIntegerField(help_text="Deliveries made when the event happened.")
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            # The same event_id again is the same event. Also serves delivery/outbox.py known().
            models.UniqueConstraint(fields=["organization", "event_id"], name="event_once_per_id"),
            # A run ends once, whatever the code above this table does.
            models.UniqueConstraint(
                fields=["organization", "subject"],
                name="event_run_ends_once",
                condition=Q(type__in=RUN_ENDED) & ~Q(subject=""),
            ),
        ]
        indexes = [
            # delivery/selectors.py of_subject(): a run's events.
            models.Index(
                fields=["organization", "subject", "id"], name="event_of_subject", condition=~Q(subject="")
            ),
            # delivery/retention/batches.py: an organization's oldest.
            models.Index(fields=["organization", "id"], name="event_listed"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class EventBody(models.Model):
    """The exact bytes of an event in one payload format, frozen when the event happened."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="bodies", db_index=False)
    payload_format = models.CharField(max_length=32, choices=choices(PayloadFormat))
    body = models.BinaryField()

    class Meta:
        verbose_name_plural = "event bodies"
        permissions = [("see_bodies", "Can see bodies, receivers' answers and what runs took and gave")]
        constraints = [
            models.UniqueConstraint(fields=["event", "payload_format"], name="eventbody_once_per_format")
        ]

    def __str__(self) -> str:
        return f"{self.payload_format} of {self.event_id}"
