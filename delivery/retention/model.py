"""How far an organization's bodies have been deleted, where they go before their events do."""

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
