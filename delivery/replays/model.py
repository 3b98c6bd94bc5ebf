"""A replay of many deliveries: what is wanted, and how far it has come."""

from enum import StrEnum

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from subscriptions.ids import uuid7
from subscriptions.models import Organization, choices

REPLAY_KEY_MAX_CHARACTERS = 128


class ReplayState(StrEnum):
    """Where a replay stands: running <-> paused, and from both to an end."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


REPLAY_STATES = choices(ReplayState)
UNFINISHED = frozenset({ReplayState.RUNNING, ReplayState.PAUSED})


class Replay(models.Model):
    """Ended deliveries that are to be sent again, carried out chunk by chunk (delivery/replays/services.py).

    It is about what had ended when it was made (`created_at`, the database's clock), so its own
    copies are never part of it. A chunk's copies and the new `cursor` commit together.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="None: of all organizations, from the command line or the admin.",
    )
    # None, not "": only given keys are unique.
    replay_key = models.CharField(max_length=REPLAY_KEY_MAX_CHARACTERS, null=True, blank=True)  # noqa: DJ001
    filter = models.JSONField(help_text="As delivery/replays/filter.py writes it.")
    include_delivered = models.BooleanField(default=False, help_text="Also what has succeeded since.")
    new_ids = models.BooleanField(default=False, help_text="Each copy has a `webhook-id` of its own.")
    limit = models.PositiveBigIntegerField(null=True, blank=True, help_text="The oldest so many.")
    rate_per_second = models.FloatField(help_text="New deliveries per second, at the most.")
    state = models.CharField(max_length=16, choices=REPLAY_STATES, default=ReplayState.RUNNING)
    # Deliveries up to this id have been looked at.
    cursor = models.UUIDField()
    matched = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="When it was made; None: counting took too long."
    )
    examined = models.PositiveBigIntegerField(default=0)
    replayed = models.PositiveBigIntegerField(default=0)
    skipped = models.JSONField(default=dict, help_text="Why not, and how many.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    next_chunk_at = models.DateTimeField(db_default=Now(), help_text="Not before; keeps the rate.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [
            ("start_replay", "Can start replay"),
            ("pause_replay", "Can pause replay"),
            ("resume_replay", "Can resume replay"),
            ("cancel_replay", "Can cancel replay"),
        ]
        constraints = [
            # Two operators' replays (no organization) may not share a key either.
            models.UniqueConstraint(
                fields=["organization", "replay_key"],
                name="replay_once_per_key",
                condition=Q(replay_key__isnull=False),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, state__in=sorted(UNFINISHED))
                | (Q(finished_at__isnull=False) & ~Q(state__in=sorted(UNFINISHED))),
                name="replay_finished_when_ended",
            ),
            models.CheckConstraint(condition=Q(rate_per_second__gt=0), name="replay_has_a_rate"),
        ]
        indexes = [
            # delivery/replays/chunks.py: whose turn it is.
            models.Index(fields=["next_chunk_at"], name="replay_due", condition=Q(state="running")),
            # delivery/selectors.py replays(): an organization's list, newest first.
            models.Index("organization", models.F("id").desc(), name="replay_listed"),
        ]

    def __str__(self) -> str:
        return str(self.id)
