"""Deliveries, attempts, and all other models of this app by name. Keys are time-ordered (UUID version 7)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from delivery.event import Event as Event  # models of this app, too
from delivery.event import EventBody as EventBody
from delivery.fan_out.model import FanOut as FanOut  # a model of this app, too
from delivery.phases import Phases
from delivery.replays.model import Replay as Replay  # a model of this app, too
from delivery.retention.model import BodiesMark as BodiesMark  # models of this app, too
from delivery.retention.model import RetentionMark as RetentionMark
from delivery.seen import Canary as Canary  # models of this app, too
from delivery.seen import Worker as Worker
from delivery.slow_receiver import SlowReceiver as SlowReceiver
from delivery.states import ENDED, Lane, State
from delivery.stats.model import AttemptCount as AttemptCount  # models of this app, too
from delivery.stats.model import StatsMark as StatsMark
from subscriptions.ids import uuid7
from subscriptions.models import URL_MAX_CHARACTERS, Organization, Subscription, choices

DELIVERY_STATES = choices(State)
STAFF_DETAIL_MAX_CHARACTERS = 500


class Delivery(models.Model):
    """One event for one target: the truth, the outbox entry and the unit of replay.

    A target is a subscription or, for a run's callback, what `callback` says.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries")
    # A body may be deleted by its age (delivery/retention/): the key then leads nowhere. Without a check of
    # the foreign key that takes no look at deliveries. NULL is never written: it makes joins keep such a row.
    body = models.ForeignKey(
        EventBody,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    # No foreign key check: it would lock the subscription's row once per event.
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="deliveries",
        db_index=False,
        db_constraint=False,
    )
    callback = models.JSONField(null=True, blank=True)
    url = models.CharField(max_length=URL_MAX_CHARACTERS)
    webhook_id = models.CharField(max_length=64, help_text="The id that the receiver deduplicates by.")
    replay_of = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replays", db_index=False
    )
    replay = models.ForeignKey(
        Replay,
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="copies",
        db_index=False,
        db_constraint=False,
        help_text="The replay of many that made it.",
    )
    is_test = models.BooleanField(default=False)
    lane = models.CharField(max_length=16, choices=choices(Lane), default=Lane.FIRST)
    state = models.CharField(max_length=16, choices=DELIVERY_STATES, default=State.PENDING)
    reason = models.CharField(max_length=64, blank=True, help_text="Why it stands where it stands.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Attempts recorded so far.")
    # A single attempt, whatever the retry policy says (test events).
    once = models.BooleanField(default=False)
    last_status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    next_attempt_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    held_at = models.DateTimeField(null=True, blank=True, help_text="Since when it waits for a person.")
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_number = models.PositiveIntegerField(default=0, help_text="The fence: raised by every claim.")
    # Claims since the last record: so many workers in a row ended while they held it.
    claims_lost = models.PositiveSmallIntegerField(default=0, db_default=0)
    # When the latest wake-up was, or will be, in the queue; None: nobody has been told yet.
    nudged_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    nudges = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "deliveries"
        permissions = [
            ("replay_delivery", "Can replay delivery"),
            ("cancel_delivery", "Can cancel delivery"),
            ("recover_delivery", "Can send held delivery"),
            ("export_delivery", "Can export deliveries"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__isnull=False, state__in=sorted(ENDED))
                | (Q(finished_at__isnull=True) & ~Q(state__in=sorted(ENDED))),
                name="delivery_finished_when_ended",
            ),
            models.CheckConstraint(
                condition=Q(subscription__isnull=True) ^ Q(callback__isnull=True), name="delivery_one_target"
            ),
        ]
        indexes = [
            # delivery/requeue.py: what is due, lane by lane. A claim changes none of these columns,
            # so it stays a heap-only update.
            models.Index(
                fields=["lane", "next_attempt_at"], name="delivery_due", condition=Q(finished_at__isnull=True)
            ),
            # delivery/services.py cancel_waiting(): what still waits for a subscription.
            models.Index(
                fields=["subscription"],
                name="delivery_unfinished",
                condition=Q(finished_at__isnull=True, subscription__isnull=False),
            ),
            # delivery/hold.py: recovered by subscription or ended by age, and counted. A claim changes
            # no state, so it stays a heap-only update.
            models.Index(fields=["held_at"], name="delivery_held", condition=Q(state="held")),
            # delivery/pace.py: what waits for a rate limit. Only that has a row in it, and a claim changes no
            # reason, so it stays a heap-only update.
            models.Index(
                fields=["subscription", "next_attempt_at"],
                name="delivery_rate_limited",
                condition=Q(reason="rate_limited", finished_at__isnull=True),
            ),
            # For each delivery that is deleted PostgreSQL looks for its replays. Only replays are in it.
            models.Index(fields=["replay_of"], name="delivery_replays", condition=Q(replay_of__isnull=False)),
            # delivery/replays/progress.py: what became of a replay's copies. Only they are in it.
            models.Index(
                F("replay"),
                F("state"),
                F("id").desc(),
                name="delivery_of_replay",
                condition=Q(replay__isnull=False),
            ),
            # delivery/selectors.py deliveries(): an organization's list, newest first.
            models.Index(F("organization"), F("id").desc(), name="delivery_listed"),
            # The same for one subscription, in the admin and for replays.
            models.Index(F("subscription"), F("id").desc(), name="delivery_of_subscription"),
        ]

    def __str__(self) -> str:
        return str(self.id)

    def kept_body(self) -> EventBody | None:
        """What is sent, or None once the retention has deleted it."""
        return None if self.body_id is None else EventBody.objects.filter(pk=self.body_id).first()


class Attempt(models.Model):
    """One HTTP request of a delivery, or why there was none. Written once, never changed."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, related_name="attempt_log", db_index=False, db_constraint=False
    )
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    event_id = models.CharField(max_length=64)
    event_type = models.CharField(max_length=128)
    url = models.CharField(max_length=URL_MAX_CHARACTERS)
    number = models.PositiveSmallIntegerField()
    success = models.BooleanField()
    status_code = models.PositiveSmallIntegerField(null=True)
    error_class = models.CharField(max_length=32, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    request_headers = models.JSONField(default=dict)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(null=True)  # noqa: DJ001 - null: no answer; empty: an empty answer
    # Which address or text was refused, and by which rule. Not for the API: it would map our network.
    staff_detail = models.CharField(max_length=STAFF_DETAIL_MAX_CHARACTERS, blank=True, db_default="")
    duration_ms = models.FloatField(
        null=True,
        blank=True,
        help_text="From the look-up of the name to the end of the answer; none where nothing was sent.",
    )
    # 40 bytes of a row; `measured` says what they mean.
    phases = ArrayField(
        models.IntegerField(null=True),
        size=5,
        null=True,
        blank=True,
        help_text="Microseconds of look-up, connecting, TLS, waiting and reading.",
    )
    is_test = models.BooleanField(default=False)
    late = models.BooleanField(default=False, help_text="Its lease had passed on; the delivery ignored it.")
    next_retry_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        permissions = [("export_attempt", "Can export attempts")]
        indexes = [
            # delivery/selectors.py: a delivery's story, in order.
            models.Index(fields=["delivery", "id"], name="attempt_of_delivery"),
            # /v1/webhooks/{id}/logs, /v1/webhooks/logs/all and its filter, newest first.
            models.Index(
                F("subscription"),
                F("id").desc(),
                name="attempt_of_subscription",
                condition=Q(subscription__isnull=False),
            ),
            models.Index(F("organization"), F("id").desc(), name="attempt_of_organization"),
            models.Index(F("organization"), F("event_type"), F("id").desc(), name="attempt_of_event_type"),
            # delivery/stats/roll_up.py: what was written since the last count, and all that asks for a time.
            models.Index(fields=["created_at"], name="attempt_created"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"

    @property
    def measured(self) -> Phases | None:
        """Where its time went; None where nothing was sent, or it is from before this was measured."""
        return None if self.phases is None else Phases(*self.phases)
