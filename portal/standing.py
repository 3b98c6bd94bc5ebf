"""How things stand, in words for people who do not know the service."""

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.models import Attempt, Delivery
from delivery.replays.filter import Skip
from delivery.states import NOT_TRIED, State
from subscriptions.event_types import DisabledReason
from subscriptions.models import Subscription

_DISABLED = {
    DisabledReason.GONE: "Its receiver answered 410 (Gone), so the service stopped sending.",
    DisabledReason.FAILING: "Nothing but failures for days, so the service stopped sending.",
}
_DELIVERIES = {
    State.PENDING: ("On its way", "open"),
    State.WAITING: ("Will be tried again", "open"),
    State.DELIVERED: ("Delivered", "good"),
    State.EXHAUSTED: ("Given up", "bad"),
    State.CANCELLED: ("Cancelled", "bad"),
    State.BLOCKED: ("Refused address", "bad"),
    State.HELD: ("Held", "open"),
}
_SKIPPED = {
    Skip.PRUNED: "their bodies are no longer kept",
    Skip.STOPPED: "their subscription is off or deleted",
    Skip.DELIVERED: "they have arrived since",
    Skip.OPEN: "they are under way already",
    Skip.REPLAYED: "they were sent again since",
    Skip.REPEATED: "the same event is there twice",
}


@dataclass(frozen=True)
class Standing:
    """A word, and what colours it: never the colour alone."""

    word: str
    #: good, bad or open
    tone: str
    explanation: str = ""


def of_subscription(subscription: Subscription) -> Standing:
    if not subscription.is_active:
        return Standing("Off", "open", "You have turned it off. Nothing is sent to it.")
    if subscription.disabled_at is not None:
        why = _DISABLED.get(DisabledReason(subscription.disabled_reason), "The service stopped sending.")
        return Standing(
            "Disabled", "bad", f"{why} What arrives meanwhile is held. Turn it on when it is repaired."
        )
    if subscription.failing_since is not None:
        since = subscription.failing_since.strftime("%Y-%m-%d %H:%M")
        return Standing("Failing", "bad", f"Its receiver has accepted nothing since {since}.")
    return Standing("On", "good")


def of_delivery(delivery: Delivery) -> Standing:
    return Standing(*_DELIVERIES[State(delivery.state)], delivery.reason.replace("_", " "))


def left_out(skipped: Mapping[str, int]) -> list[tuple[str, int]]:
    """Why a replay leaves some out, and how many."""
    return [(_SKIPPED[Skip(reason)], count) for reason, count in sorted(skipped.items())]


def of_attempt(attempt: Attempt) -> Standing:
    if attempt.error_class in NOT_TRIED:
        return Standing("Not sent", "open")
    said = f"{attempt.status_code}" if attempt.status_code is not None else "no answer"
    return Standing(f"Accepted, {said}", "good") if attempt.success else Standing(f"Failed, {said}", "bad")
