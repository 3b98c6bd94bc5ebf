"""A receiver that hangs, as all workers know it: delivery/slow.py."""

from django.db import models

from subscriptions.models import Organization


class SlowReceiver(models.Model):
    """A receiver that keeps timing out: an organization's deliveries to it wait in the slow lane."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    receiver = models.CharField(max_length=300, help_text="Scheme, host and port.")
    since = models.DateTimeField(help_text="Since when its deliveries wait in the slow lane.")
    timeouts = models.PositiveIntegerField(help_text="Time-outs in a row.")
    last_timeout_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "receiver"], name="slowreceiver_once")]

    def __str__(self) -> str:
        return self.receiver
