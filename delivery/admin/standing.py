"""Where a delivery stands, why, and what comes next: in one sentence for people."""

from datetime import datetime

from delivery import retry
from delivery.admin.shown import span
from delivery.cancel import MESSAGES
from delivery.models import Attempt, Delivery
from delivery.states import ErrorClass, State
from subscriptions.models import Subscription

# What a delivery waits for though nothing failed, by its reason.
WAITS_FOR = {
    "rate_limited": "for its turn under its subscription's rate limit",
    "receiver_busy": "for a free place among the requests to its receiver",
    "receiver_slow": "in the slow lane, because its receiver keeps timing out",
    "claim_late": "for another go: the database answered a worker too late",
    "secret_undecryptable": "for an encryption key that is missing in ENCRYPTION_KEYS",
}
HELD = {
    "subscription_disabled": "its subscription is disabled. Enable it, then send what is held",
    "gone": "the receiver answered 410, so its subscription was disabled. Enable it, then send what is held",
    "worker_lost": "worker after worker ended while sending it. Find out why, then send what is held",
}
# Entries of the log that say why no request was made.
NOT_MADE = frozenset({ErrorClass.CANCELLED, ErrorClass.SUBSCRIPTION_DISABLED, ErrorClass.WORKER_LOST})
CANCELLED = MESSAGES | {"cancelled_by_request": "Cancelled: somebody asked for it"}
EXHAUSTED = {
    "not_retryable": "{because}, which its retry policy does not try again",
    "gone": "{because}: nobody listens there any more",
    "single_attempt": "{because}, and it had a single attempt",
    "schedule_used_up": "all attempts failed; at the last one {because}",
}


def attempts_most(delivery: Delivery) -> int | None:
    """Attempts that its retry policy gives it as of now; None if what it went to is gone."""
    if delivery.once:
        return 1
    if delivery.callback is not None:
        name, schedule = delivery.callback["retry_policy"], delivery.callback["retry_schedule"]
    else:
        assert delivery.subscription_id is not None, "there is one target"
        found = Subscription.objects.filter(pk=delivery.subscription_id)
        row = found.values_list("retry_policy", "retry_schedule").first()
        if row is None:
            return None
        name, schedule = row
    return len(retry.policy_for(name, schedule).delays_seconds) + 1


def is_sending(delivery: Delivery, now: datetime) -> bool:
    return delivery.finished_at is None and delivery.lease_until is not None and delivery.lease_until > now


def standing(delivery: Delivery, last: Attempt | None, *, now: datetime) -> str:
    """`last`: its latest attempt that counts."""
    because = why_failed(last) if last is not None else _as_far_as_known(delivery)
    match State(delivery.state):
        case State.DELIVERED:
            return f"Delivered: {_accepted(delivery, last)}."
        case State.EXHAUSTED:
            text = EXHAUSTED.get(delivery.reason, delivery.reason or "{because}")
            return f"Exhausted: {text.replace('{because}', because)}."
        case State.CANCELLED:
            text = CANCELLED.get(delivery.reason, delivery.reason).removeprefix("Cancelled: ")
            return f"Cancelled: {_lowered(text)}."
        case State.BLOCKED:
            return f"Blocked: {because}, so nothing is sent."
        case State.HELD:
            return f"Held: {HELD.get(delivery.reason, delivery.reason)}."
    return _open(delivery, because, now=now)


def _open(delivery: Delivery, because: str, *, now: datetime) -> str:
    most = attempts_most(delivery)
    attempt = f"attempt {delivery.attempts + 1}" + (f" of {most}" if most else "")
    if is_sending(delivery, now):
        return f"Sending now: {attempt}."
    due = delivery.next_attempt_at or now
    when = f"in {span((due - now).total_seconds())}" if due > now else "is due, as soon as a worker is free"
    if delivery.reason in WAITS_FOR:
        return f"Waiting: {attempt} {when}, {WAITS_FOR[delivery.reason]}."
    if not delivery.attempts:
        return f"Pending: {attempt} {when}."
    asked = ", and asked for the wait (Retry-After)" if delivery.reason == "retry_after" else ""
    return f"Waiting: {attempt} {when}, because {because}{asked}."


def _accepted(delivery: Delivery, last: Attempt | None) -> str:
    code = delivery.last_status_code if last is None else last.status_code
    text = f"the receiver answered {code} to attempt {delivery.attempts}"
    if delivery.finished_at is None:
        return text
    return f"{text}, {span((delivery.finished_at - delivery.created_at).total_seconds())} after it was made"


def _as_far_as_known(delivery: Delivery) -> str:
    """The log may go before its delivery does."""
    if delivery.last_status_code is not None:
        return f"the receiver answered {delivery.last_status_code}"
    return "what came of it is no longer on record" if delivery.attempts else "no attempt is on record"


def why_failed(attempt: Attempt) -> str:
    if attempt.status_code is not None:
        return f"the receiver answered {attempt.status_code}"
    return _lowered(attempt.error_message) or attempt.error_class


def next_step(delivery: Delivery, attempt: Attempt, following: Attempt | None, *, now: datetime) -> str:
    """What came, or comes, after an attempt of the time line."""
    if attempt.success or attempt.error_class in NOT_MADE:
        return ""
    if attempt.late:
        return "It was recorded late: another worker had taken over, so the delivery ignored it."
    if following is not None and following.error_class in NOT_MADE:
        return "Not tried again: see the next entry."
    if following is not None:
        wait = (following.created_at - attempt.created_at).total_seconds()
        return f"Tried again {span(wait)} later."
    if delivery.finished_at is None and delivery.state != State.HELD:
        return standing(delivery, attempt, now=now)
    return "Not tried again."


def _lowered(text: str) -> str:
    """As it reads inside a sentence."""
    is_word = text[:1].isupper() and not text[1:2].isupper()
    return text[:1].lower() + text[1:] if is_word else text
