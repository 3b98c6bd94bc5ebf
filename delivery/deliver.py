"""The use case: one attempt of one delivery, from claim to record. A type per stage.

claim -> Claimed -> sign -> OutgoingRequest -> send -> Answer | NoAnswer -> decide -> Outcome -> record
No database transaction is open while the request is on its way (promise 5).
"""

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection

from delivery import health, hold, pace, retry, services, slow
from delivery.attempt_line import AttemptLine
from delivery.claim import Claimed, claim
from delivery.database import on_live_connection
from delivery.kept import mask_request_headers, mask_response_headers, without_secrets
from delivery.outgoing import build_request, receiver_for
from delivery.recorder import Outcome, Postponed, postpone, postpone_many, record, record_while_leased
from delivery.sender import Answer, NoAnswer, OutgoingRequest, Transport
from delivery.short_waits import ShortWaits
from delivery.states import Lane, State
from subscriptions.event_types import DisabledReason
from subscriptions.ids import uuid7
from subscriptions.secrets import UndecryptableSecret
from subscriptions.snapshots import Receiver

logger = logging.getLogger(__name__)

# Why a delivery waits whose receiver hangs.
RECEIVER_SLOW = "receiver_slow"
# Why a delivery goes back unsent whose lease may end before its request would.
CLAIM_LATE = "claim_late"
# Until an operator has brought the key back.
UNDECRYPTABLE_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Again:
    """The attempt failed and another one is due after a wait short enough for Celery to hold."""

    attempt: int
    delay_seconds: float


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A claimed delivery with everything that its request needs; times are monotonic seconds.

    `claimed_at` is when the claim was asked for, not when it was answered: the database counts the
    lease from the beginning of the statement, which may have been held up for longer than that.
    """

    claimed: Claimed
    receiver: Receiver
    request: OutgoingRequest
    claimed_at: float

    @property
    def lease_ends(self) -> float:
        return self.claimed_at + self.claimed.lease_seconds


def deliver(
    delivery_id: UUID, attempt: int, *, transport: Transport, short_waits: ShortWaits
) -> Again | None:
    """Make attempt number `attempt` (from 1), unless the row says that it is not to be made (now)."""
    claimed_at, claimed = on_live_connection(lambda: (time.monotonic(), claim(delivery_id, attempt)))
    if claimed is None:
        logger.debug("nothing to do delivery=%s attempt=%d", delivery_id, attempt)
        return None
    prepared = prepare(claimed, claimed_at=claimed_at)
    if prepared is None:
        return None
    if (late := given_up(prepared)) is not None:
        postpone_many([late])
        return None
    if is_slow(prepared) and claimed.lane != Lane.SLOW:
        postpone_many([put_aside(prepared, places=settings.DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX)])
        return None
    if not pace.may_go(claimed, prepared.receiver.rate_limit_per_second):
        return None
    assert not connection.in_atomic_block, "no transaction may be open while a socket is"
    result = transport.send(prepared.request)
    outcome = judge(prepared, result, short_waits)
    write = health.record_gone if health.is_gone(outcome) else record
    taken = record_while_leased(outcome, write, lease_ends=prepared.lease_ends)
    return after_record(outcome, taken)


def prepare(claimed: Claimed, *, claimed_at: float) -> Prepared | None:
    """The request to send, or None where nothing is to be sent (now): the row then says why."""
    if claimed.claims_lost >= settings.DELIVERY_CLAIMS_LOST_MAX:
        logger.error("parked: it ended %d workers delivery=%s", claimed.claims_lost, claimed.id)
        hold.park(claimed)
        return None
    if claimed.is_active and claimed.disabled_at is not None and not claimed.is_test:
        hold.hold_claimed(claimed)
        return None
    try:
        receiver = on_live_connection(lambda: receiver_for(claimed))
    except UndecryptableSecret:
        logger.error(
            "a secret cannot be decrypted: is a key missing in ENCRYPTION_KEYS? delivery=%s", claimed.id
        )
        postpone(claimed, "secret_undecryptable", UNDECRYPTABLE_PAUSE_SECONDS)
        return None
    if receiver is None:
        services.cancel_claimed(claimed)
        return None
    request = build_request(claimed, receiver, now=database_time(claimed, claimed_at))
    return Prepared(claimed=claimed, receiver=receiver, request=request, claimed_at=claimed_at)


def given_up(prepared: Prepared) -> Postponed | None:
    """Goes back if its lease may end before its request: another worker could be sending it by then."""
    left = prepared.lease_ends - time.monotonic()
    if left >= prepared.request.timeout_seconds:
        return None
    return Postponed(prepared.claimed, CLAIM_LATE, 0.0)


def is_slow(prepared: Prepared) -> bool:
    """Whether its receiver hangs. A person who tests it wants to know at once whether it still does."""
    return slow.receivers().is_slow(_slow_key(prepared)) and not prepared.claimed.is_test


def put_aside(prepared: Prepared, *, places: int) -> Postponed:
    """It waits in the slow lane until one of the receiver's `places` should be free."""
    each_seconds = prepared.request.timeout_seconds / places
    seconds = slow.receivers().away_seconds(_slow_key(prepared), each_seconds)
    return Postponed(prepared.claimed, RECEIVER_SLOW, seconds, Lane.SLOW)


def _slow_key(prepared: Prepared) -> slow.Key:
    return slow.key_of(prepared.claimed.organization_id, prepared.request.url)


def after_record(outcome: Outcome, taken: bool) -> Again | None:
    """What follows the commit of an outcome; the retry if Celery is to hold it."""
    if logger.isEnabledFor(logging.INFO):
        logger.info(AttemptLine(outcome, taken))
    if settings.TRACING:
        from delivery import spans

        spans.attempt_made(outcome)
    slow.note(outcome)
    on_live_connection(lambda: health.note(outcome))
    if not taken or not outcome.in_celery or outcome.delay_seconds is None:
        return None
    return Again(attempt=outcome.claimed.attempt + 1, delay_seconds=outcome.delay_seconds)


def database_time(claimed: Claimed, claimed_at: float) -> datetime:
    """The time now by the database's clock; `claimed_at` is the claim's moment in monotonic seconds.

    A worker whose own clock is off by minutes signs, expires secrets and reads Retry-After's dates
    like all others.
    """
    return claimed.claimed_at + timedelta(seconds=time.monotonic() - claimed_at)


def judge(prepared: Prepared, result: Answer | NoAnswer, short_waits: ShortWaits) -> Outcome:
    """What the delivery becomes after this answer, or lack of one."""
    claimed, receiver, request = prepared.claimed, prepared.receiver, prepared.request
    now = database_time(claimed, prepared.claimed_at)
    answered = without_secrets(result, receiver) if isinstance(result, Answer) else None
    accepted = answered is not None and answered.accepted
    state, reason, delay = next_state(claimed, receiver, result, now)
    return Outcome(
        id=uuid7(),
        claimed=claimed,
        url=receiver.shown_url,
        state=state,
        reason=reason,
        delay_seconds=delay,
        # A replay waits as a row: while it waited in a worker it would fill the share of the background.
        in_celery=delay is not None
        and claimed.lane != Lane.REPLAY
        and short_waits.take(delay, now=time.monotonic()),
        accepted=accepted,
        status_code=answered.status_code if answered else None,
        error_class=_error_class(result),
        error_message=_error_message(result),
        request_headers=mask_request_headers(request.headers),
        response_headers=mask_response_headers(answered.headers) if answered else {},
        response_body=answered.body if answered else None,
        duration_ms=result.duration_ms,
        staff_detail=result.staff_detail if isinstance(result, NoAnswer) else "",
        phases=result.phases,
    )


def next_state(
    claimed: Claimed, receiver: Receiver, result: Answer | NoAnswer, now: datetime
) -> tuple[State, str, float | None]:
    """State, reason, and seconds until the next attempt if there is one."""
    if isinstance(result, Answer) and result.accepted:
        return State.DELIVERED, "accepted", None
    if isinstance(result, NoAnswer) and result.refused:
        return State.BLOCKED, result.error_class, None
    if claimed.once:
        return State.EXHAUSTED, "single_attempt", None
    if (
        claimed.subscription_id is not None
        and isinstance(result, Answer)
        and result.status_code == retry.GONE
    ):
        return State.HELD, DisabledReason.GONE, None
    decision = retry.decide(
        retry.policy_for(receiver.retry_policy, receiver.retry_schedule),
        attempt=claimed.attempt,
        status_code=result.status_code if isinstance(result, Answer) else None,
        retry_after=_header(result.headers, "retry-after") if isinstance(result, Answer) else None,
        now=now,
        random=random.random,
        retry_after_max_seconds=settings.DELIVERY_RETRY_AFTER_MAX_SECONDS,
    )
    if decision.delay_seconds is None:
        return State.EXHAUSTED, decision.reason, None
    return State.WAITING, decision.reason, decision.delay_seconds


def _header(headers: dict[str, str], wanted: str) -> str | None:
    return next((value for name, value in headers.items() if name.lower() == wanted), None)


def _error_class(result: Answer | NoAnswer) -> str:
    if isinstance(result, NoAnswer):
        return result.error_class
    return "" if result.accepted else "http_status"


def _error_message(result: Answer | NoAnswer) -> str:
    if isinstance(result, NoAnswer):
        return result.message
    return "" if result.accepted else f"The receiver answered {result.status_code}"
