"""Every lettered edge of ARCHITECTURE.md's state diagrams has tests: a table, and those of the delivery.

The edges of runs and steps are taken through the API in test_runs_api.py and test_runs_api_told.py.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.db.models.functions import Now
from pytest_django import Settings

from delivery import hold
from delivery.models import Delivery
from delivery.recorder import record
from delivery.replays import services as replays
from delivery.sender import Answer, NoAnswer
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.dialects_table import known_tests
from tests.integration.moves import MOVES, enable_and_recover, gone, update, work
from tests.integration.test_claim import claimed_from, expire_lease
from tests.integration.test_deliver import make_due
from tests.integration.test_outbox import CALLBACK, happen
from tests.integration.test_recorder import ACCEPTED, outcome_of
from tests.scripted import ANSWERS, Scripted, said

ARCHITECTURE = Path(__file__).parent.parent.parent / "ARCHITECTURE.md"
TABLE = {
    "a": ["test_runs_api::a_run_from_start_to_completion", "test_run_states::a_move_from_a_state"],
    "b": ["test_runs_api::pausing_and_resuming_tell_nobody"],
    "c": ["test_runs_api::pausing_and_resuming_tell_nobody"],
    "d": ["test_runs_api::a_run_from_start_to_completion"],
    "e": ["test_runs_api_told::an_output_that_the_run_does_not_have_fails_it_in_seed_000s_words"],
    "f": ["test_runs_api::other_ends"],
    "g": ["test_runs_api::other_ends"],
    "h": ["test_runs_api::other_ends"],
    "i": ["test_runs_api::other_ends", "test_runs_api_told::a_cancelled_run_is_told_only_to_those_who_ask"],
    "j": ["test_runs_api_told::steps_are_told_one_by_one_and_shown_in_the_order_of_their_starts"],
    "k": ["test_runs_api_told::steps_are_told_one_by_one_and_shown_in_the_order_of_their_starts"],
    "l": ["test_runs_api_told::steps_are_told_one_by_one_and_shown_in_the_order_of_their_starts"],
    "A": [
        "test_outbox::an_event_has_a_delivery_per_recipient_and_each_waits_for_its_first_attempt",
        "test_edges::a_replay_begins_anew",
    ],
    "B": ["test_edges::a_failed_attempt_waits_for_the_next_one"],
    "C": ["test_edges::an_accepted_attempt_ends_it"],
    "D": [
        "test_edges::the_last_or_a_hopeless_failure_ends_it",
        "test_disabled::a_callbacks_410_only_ends_that_delivery",
    ],
    "E": ["test_edges::a_refused_address_ends_it"],
    "F": ["test_edges::a_person_cancels_it"],
    "G": ["test_edges::its_subscription_is_stopped", "test_edges::a_worker_finds_its_subscription_stopped"],
    "H": ["test_edges::a_cancelled_one_is_accepted_after_all"],
    "I": [
        "test_edges::its_subscription_is_disabled",
        "test_edges::it_happens_while_its_subscription_is_disabled",
        "test_failing::nothing_but_failures_for_the_whole_span_disable_it",
    ],
    "J": ["test_edges::it_has_ended_too_many_workers"],
    "K": ["test_edges::it_is_recovered", "test_edges::it_alone_is_recovered"],
    "L": ["test_disabled::what_nobody_recovers_within_the_retention_is_cancelled_and_logged"],
}


def test_every_letter_of_the_diagrams_is_in_the_table_and_its_tests_exist() -> None:
    states = ARCHITECTURE.read_text().partition("\n## States\n")[2].partition("\n## ")[0]
    drawn = re.findall(r"\(([a-zA-Z](?:,[a-zA-Z])*)\)", states)
    letters = {letter for group in drawn for letter in group.split(",")}

    named = {test for tests in TABLE.values() for test in tests}

    assert letters == set(TABLE)
    assert named - known_tests() == set()


@pytest.fixture
def subscription(subscribe: Callable[..., Subscription]) -> Subscription:
    return subscribe(retry_schedule=[30.0, 30.0])


Stands = Callable[[str], Delivery]


@pytest.fixture
def standing(organization: Organization, subscription: Subscription) -> Stands:
    """A delivery in one of the states from which edges lead, due if it can be."""

    def make(state: str) -> Delivery:
        delivery = happen(organization).deliveries.get(subscription=subscription)
        if state != State.PENDING:
            attempt(delivery, ANSWERS["gone" if state == State.HELD else "failed"])
        if state == State.WAITING:
            make_due(delivery)
        delivery.refresh_from_db()
        assert delivery.state == state
        return delivery

    return make


def attempt(delivery: Delivery, answer: Answer | NoAnswer) -> tuple[str, str]:
    """What it becomes when a worker gets this answer for its next attempt."""
    work(delivery, Scripted(lambda _: answer), delivery.attempts + 1)
    return state_of(delivery)


def state_of(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


OPEN = pytest.mark.parametrize("source", [State.PENDING, State.WAITING])
NOT_ENDED = pytest.mark.parametrize("source", [State.PENDING, State.WAITING, State.HELD])


def test_a_replay_begins_anew(organization: Organization, standing: Stands) -> None:
    old = standing("pending")
    attempt(old, ANSWERS["refused"])

    copy = replays.replay(organization=organization, delivery_id=old.id)

    assert (copy.state, copy.attempts, copy.replay_of_id) == (State.PENDING, 0, old.id)
    assert copy.body_id == old.body_id


@OPEN
@pytest.mark.parametrize("answer", ["failed", "silent", "asked to wait"])
def test_a_failed_attempt_waits_for_the_next_one(standing: Stands, source: str, answer: str) -> None:
    delivery = standing(source)

    assert attempt(delivery, ANSWERS[answer])[0] == State.WAITING
    assert delivery.next_attempt_at is not None


@OPEN
def test_an_accepted_attempt_ends_it(standing: Stands, source: str) -> None:
    assert attempt(standing(source), ANSWERS["accepted"]) == (State.DELIVERED, "accepted")


@OPEN
def test_the_last_or_a_hopeless_failure_ends_it(standing: Stands, source: str) -> None:
    last, hopeless = standing(source), standing(source)
    update(last, retry_schedule=[])

    assert attempt(last, ANSWERS["failed"]) == (State.EXHAUSTED, "schedule_used_up")

    # This one gives up on most 4xx.
    update(hopeless, retry_schedule=None, retry_policy="skyvern")
    assert attempt(hopeless, said(400)) == (State.EXHAUSTED, "not_retryable")


@OPEN
def test_a_refused_address_ends_it(standing: Stands, source: str) -> None:
    assert attempt(standing(source), ANSWERS["refused"]) == (State.BLOCKED, "address_not_allowed")


@NOT_ENDED
def test_a_person_cancels_it(standing: Stands, source: str) -> None:
    delivery = standing(source)

    MOVES["cancel"](delivery)

    assert state_of(delivery) == (State.CANCELLED, "cancelled_by_request")


@NOT_ENDED
@pytest.mark.parametrize(
    ("move", "reason"), [("deactivate", "subscription_deactivated"), ("delete", "subscription_deleted")]
)
def test_its_subscription_is_stopped(standing: Stands, source: str, move: str, reason: str) -> None:
    delivery = standing(source)

    MOVES[move](delivery)

    assert state_of(delivery) == (State.CANCELLED, reason)


@OPEN
def test_a_worker_finds_its_subscription_stopped(standing: Stands, source: str) -> None:
    delivery = standing(source)
    # Without the service: it did not see the delivery, which committed after it.
    Subscription.objects.update(is_active=False)

    assert attempt(delivery, ANSWERS["accepted"]) == (State.CANCELLED, "subscription_deactivated")


@OPEN
@pytest.mark.parametrize("move", ["cancel", "deactivate", "delete"])
def test_a_cancelled_one_is_accepted_after_all(standing: Stands, source: str, move: str) -> None:
    delivery = standing(source)
    on_its_way = claimed_from(delivery, delivery.attempts + 1)
    MOVES[move](delivery)
    delivery.refresh_from_db()
    ended = delivery.finished_at

    record(outcome_of(on_its_way, **ACCEPTED))

    assert state_of(delivery) == (State.DELIVERED, "accepted")
    assert delivery.finished_at == ended


@OPEN
def test_its_subscription_is_disabled(organization: Organization, standing: Stands, source: str) -> None:
    answered, told, found = standing(source), standing(source), standing(source)
    lease = claimed_from(found, found.attempts + 1)

    assert attempt(answered, ANSWERS["gone"]) == (State.HELD, "gone")

    assert state_of(told) == (State.HELD, "subscription_disabled")
    # On its way at that moment; its worker died, and the next one finds out.
    assert state_of(found)[0] == source
    expire_lease(found)
    assert attempt(found, ANSWERS["accepted"]) == (State.HELD, "subscription_disabled")
    assert (found.claim_number, found.attempts) == (lease.claim_number + 1, lease.attempt - 1)


def test_it_happens_while_its_subscription_is_disabled(
    organization: Organization, subscription: Subscription
) -> None:
    gone(organization, subscription)

    delivery = happen(organization).deliveries.get()

    assert state_of(delivery) == (State.HELD, "subscription_disabled")


@OPEN
def test_it_has_ended_too_many_workers(standing: Stands, source: str, settings: Settings) -> None:
    settings.DELIVERY_CLAIMS_LOST_MAX = 2
    delivery = standing(source)
    for _ in range(2):
        claimed_from(delivery, delivery.attempts + 1)
        expire_lease(delivery)

    assert attempt(delivery, ANSWERS["accepted"]) == (State.HELD, "worker_lost")


@pytest.mark.parametrize(("tried", "state"), [(False, State.PENDING), (True, State.WAITING)])
def test_it_is_recovered(
    organization: Organization, subscription: Subscription, tried: bool, state: State
) -> None:
    delivery = happen(organization).deliveries.get()
    if tried:
        attempt(delivery, ANSWERS["gone"])
    else:
        gone(organization, subscription)
    assert state_of(delivery)[0] == State.HELD

    enable_and_recover(organization, subscription.pk)

    assert state_of(delivery) == (state, "recovered")
    assert attempt(delivery, ANSWERS["accepted"]) == (State.DELIVERED, "accepted")


def test_it_alone_is_recovered(organization: Organization) -> None:
    """A callback that had ended too many workers."""
    callback = replace(CALLBACK, url="http://127.0.0.1/")
    delivery = happen(organization, callback).deliveries.get()
    Delivery.objects.update(claims_lost=5, lease_until=Now())
    assert attempt(delivery, ANSWERS["accepted"]) == (State.HELD, "worker_lost")

    hold.recover_one(organization=organization, delivery_id=delivery.id)

    assert state_of(delivery) == (State.PENDING, "recovered")
    assert attempt(delivery, ANSWERS["accepted"]) == (State.DELIVERED, "accepted")
