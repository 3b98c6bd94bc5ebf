"""How the portal tells customers how things stand: nothing is without words."""

import pytest

from delivery.models import Delivery
from delivery.replays.filter import Skip
from delivery.states import State
from portal import standing
from subscriptions.event_types import DisabledReason
from subscriptions.models import Subscription


@pytest.mark.parametrize("state", State)
def test_every_state_of_a_delivery_has_a_word_and_a_tone(state: State) -> None:
    found = standing.of_delivery(Delivery(state=state, reason="schedule_used_up"))

    assert found.word[0].isupper()
    assert found.tone in ("good", "bad", "open")
    assert found.explanation == "schedule used up"


@pytest.mark.parametrize("reason", DisabledReason)
def test_every_reason_to_disable_a_subscription_is_explained(reason: DisabledReason) -> None:
    disabled = Subscription(is_active=True, disabled_at="2026-01-01T00:00:00Z", disabled_reason=reason)

    found = standing.of_subscription(disabled)

    assert found.word == "Disabled"
    assert not found.explanation.startswith("The service stopped sending.")


@pytest.mark.parametrize("reason", Skip)
def test_every_reason_to_leave_one_out_of_a_replay_has_words(reason: Skip) -> None:
    ((words, count),) = standing.left_out({reason.value: 3})

    assert (words[0].islower(), count) == (True, 3)
