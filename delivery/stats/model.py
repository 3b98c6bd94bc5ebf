"""Counts of attempts by time."""

from enum import StrEnum

from django.db import models

from subscriptions.models import Organization, Subscription, choices


class Grain(StrEnum):
    """How much time a row stands for."""

    MINUTE = "minute"  # of all organizations together
    HOUR = "hour"  # of all, of each organization, and of each subscription
    EVER = "ever"  # of all


class Measure(StrEnum):
    REQUEST = "request"  # attempts, by their answer and duration
    FIRST = "first"  # first attempts, by the time from the making of their delivery to their request


class AttemptCount(models.Model):
    """So many attempts of a time had such an answer and took about so long (delivery/stats/roll_up.py).

    Of all organizations if it names none, of all of an organization's (its callbacks' too) if it names no
    subscription. Attempts of test events and those that sent nothing are not among them.
    """

    grain = models.CharField(max_length=8, choices=choices(Grain))
    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    starts_at = models.DateTimeField()
    measure = models.CharField(max_length=8, choices=choices(Measure))
    answer = models.CharField(max_length=32, blank=True, help_text="Such as 2xx, or why there was none.")
    slot = models.PositiveSmallIntegerField(help_text="Of the duration: delivery/stats/slots.py.")
    attempts = models.BigIntegerField()
    delivered = models.BigIntegerField(help_text="Of them, those that ended their delivery well.")
    given_up = models.BigIntegerField(
        help_text="Of them, those that failed, with no other planned after them."
    )
    milliseconds = models.FloatField(help_text="Of all of them together.")

    class Meta:
        constraints = [
            # Also serves delivery/stats/selectors.py: whose counts, since when.
            models.UniqueConstraint(
                fields=["grain", "organization", "subscription", "starts_at", "measure", "answer", "slot"],
                name="attemptcount_once",
                nulls_distinct=False,
            )
        ]
        indexes = [
            # delivery/stats/roll_up.py forget_old().
            models.Index(fields=["grain", "starts_at"], name="attemptcount_old")
        ]

    def __str__(self) -> str:
        return f"{self.attempts} {self.answer} since {self.starts_at}"


class StatsMark(models.Model):
    """One row: all attempts written before this time have been counted."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    counted_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"counted until {self.counted_until}"
