"""Who works: rows that workers renew."""

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Canary(models.Model):
    """One row: when a worker last carried out a task that beat had sent."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "canary"

    def __str__(self) -> str:
        return f"seen {self.seen_at}"


class Worker(models.Model):
    """A worker process that lives, or lived: it says so itself every few seconds (delivery/presence.py)."""

    name = models.CharField(primary_key=True, max_length=255)
    host = models.CharField(max_length=255)
    process_id = models.PositiveIntegerField()
    queues = ArrayField(models.CharField(max_length=128))
    concurrency = models.PositiveIntegerField()
    clock_ahead_seconds = models.FloatField(help_text="Its host's clock against the database's.")
    idle_seconds = models.FloatField(help_text="Since it last received a message, when it was seen.")
    under_way = models.PositiveIntegerField(null=True, help_text="Deliveries from message to commit.")
    given_back = models.JSONField(null=True, help_text="Unsent since it started, by reason.")
    done = models.JSONField(
        null=True, help_text="Since it started: wake-ups of its requeuer, leases taken over."
    )
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
