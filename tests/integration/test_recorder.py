"""What is written down of an attempt, by whom, and what a lost lease or database does to it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.utils import timezone

from delivery.cancel import cancel_one
from delivery.claim import Claimed
from delivery.models import Attempt, Delivery
from delivery.recorder import Outcome, record, record_while_leased
from delivery.states import Lane, State
from subscriptions.ids import uuid7
from subscriptions.models import Organization, Subscription
from tests.integration.test_claim import claimed_from, expire_lease, wait_until_blocked
from tests.integration.test_outbox import happen
from tests.integration.test_sender import closed_port

ACCEPTED: dict[str, Any] = {"state": State.DELIVERED, "reason": "accepted", "accepted": True}
ACCEPTED |= {"status_code": 200}
FAILED: dict[str, Any] = {"state": State.WAITING, "reason": "retry", "delay_seconds": 300.0}
FAILED |= {"status_code": 500, "error_class": "http_status", "error_message": "The receiver answered 500"}
GIVEN_UP = FAILED | {"state": State.EXHAUSTED, "reason": "schedule_used_up", "delay_seconds": None}
NOT_ALLOWED = GIVEN_UP | {"state": State.BLOCKED, "reason": "address_not_allowed", "status_code": None}


@pytest.fixture
def delivery(organization: Organization, subscribe: Callable[..., Subscription]) -> Delivery:
    subscribe()
    return happen(organization).deliveries.get()


def outcome_of(claimed: Claimed, **values: Any) -> Outcome:
    defaults: dict[str, Any] = {
        "id": uuid7(),
        "claimed": claimed,
        "url": "http://127.0.0.1/hook",
        "delay_seconds": None,
        "in_celery": False,
        "accepted": False,
        "status_code": None,
        "error_class": "",
        "error_message": "",
        "request_headers": {"webhook-id": claimed.webhook_id},
        "response_headers": {"Server": "test"},
        "response_body": "body",
        "duration_ms": 12.5,
    }
    return Outcome(**(defaults | values))


def test_an_acceptance_ends_the_delivery(delivery: Delivery) -> None:
    assert record(outcome_of(claimed_from(delivery), **ACCEPTED))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.attempts) == (State.DELIVERED, "accepted", 1)
    assert (delivery.last_status_code, delivery.next_attempt_at, delivery.lease_until) == (200, None, None)
    assert delivery.finished_at is not None
    logged = delivery.attempt_log.get()
    assert (logged.number, logged.success, logged.late, logged.status_code) == (1, True, False, 200)
    assert (logged.event_id, logged.event_type) == (delivery.event.event_id, "order.paid")
    assert (logged.response_headers, logged.response_body) == ({"Server": "test"}, "body")
    assert (logged.request_headers, logged.duration_ms) == ({"webhook-id": delivery.webhook_id}, 12.5)
    assert logged.next_retry_at is None


@pytest.mark.parametrize("in_celery", [True, False])
def test_a_failure_waits_for_its_next_attempt_in_the_retry_lane(delivery: Delivery, in_celery: bool) -> None:
    before = timezone.now()

    taken = record(outcome_of(claimed_from(delivery), **FAILED, in_celery=in_celery))

    delivery.refresh_from_db()
    logged = delivery.attempt_log.get()
    assert taken
    assert (delivery.state, delivery.attempts, delivery.lane) == (State.WAITING, 1, Lane.RETRY)
    assert delivery.finished_at is delivery.lease_until is None
    assert delivery.next_attempt_at is not None
    assert (delivery.next_attempt_at - before).total_seconds() == pytest.approx(300, abs=10)
    # Only a retry that Celery holds has been told already.
    assert delivery.nudged_at == (delivery.next_attempt_at if in_celery else None)
    assert (logged.success, logged.next_retry_at) == (False, delivery.next_attempt_at)
    assert (logged.error_class, logged.error_message) == ("http_status", "The receiver answered 500")


@pytest.mark.parametrize("values", [GIVEN_UP, NOT_ALLOWED], ids=["exhausted", "blocked"])
def test_the_last_failure_ends_the_delivery_and_says_why(delivery: Delivery, values: dict[str, Any]) -> None:
    assert record(outcome_of(claimed_from(delivery), **values))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (values["state"], values["reason"])
    assert delivery.finished_at is not None
    assert delivery.next_attempt_at is None


def test_a_replay_stays_in_its_lane(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(lane=Lane.REPLAY)

    record(outcome_of(claimed_from(delivery), **FAILED))

    delivery.refresh_from_db()
    assert delivery.lane == Lane.REPLAY


def test_a_worker_whose_lease_was_taken_over_changes_nothing_but_is_on_record(delivery: Delivery) -> None:
    late = claimed_from(delivery)
    expire_lease(delivery)
    current = claimed_from(delivery)

    late_taken = record(outcome_of(late, **GIVEN_UP))
    between = Delivery.objects.get()
    taken = record(outcome_of(current, **ACCEPTED))

    delivery.refresh_from_db()
    assert (late_taken, between.state, between.lease_until is None) == (False, State.PENDING, False)
    assert (taken, delivery.state, delivery.attempts) == (True, State.DELIVERED, 1)
    log = delivery.attempt_log.order_by("id").values_list("number", "success", "late")
    assert list(log) == [(1, False, True), (1, True, False)]


def test_a_late_worker_does_not_overwrite_what_was_recorded_meanwhile(delivery: Delivery) -> None:
    late = claimed_from(delivery)
    expire_lease(delivery)
    record(outcome_of(claimed_from(delivery), **ACCEPTED))

    taken = record(outcome_of(late, **FAILED))

    delivery.refresh_from_db()
    assert not taken
    assert (delivery.state, delivery.attempts, delivery.last_status_code) == (State.DELIVERED, 1, 200)
    assert delivery.attempt_log.filter(late=True).count() == 1


def test_a_worker_whose_lease_ran_out_but_was_not_taken_over_still_records(delivery: Delivery) -> None:
    claimed = claimed_from(delivery)
    expire_lease(delivery)

    assert record(outcome_of(claimed, **ACCEPTED))


def test_recording_twice_adds_one_row(delivery: Delivery) -> None:
    outcome = outcome_of(claimed_from(delivery), **FAILED)

    record(outcome)
    record(outcome)

    delivery.refresh_from_db()
    assert delivery.attempts == 1
    assert not delivery.attempt_log.get().late


@pytest.mark.parametrize("values", [ACCEPTED, FAILED, GIVEN_UP], ids=["accepted", "failed", "exhausted"])
def test_a_request_that_was_under_way_when_its_delivery_was_cancelled(
    delivery: Delivery, values: dict[str, Any]
) -> None:
    claimed = claimed_from(delivery)
    cancel_one(delivery.id, "cancelled_by_request")

    taken = record(outcome_of(claimed, **values))

    delivery.refresh_from_db()
    accepted = values is ACCEPTED
    assert taken == accepted
    assert delivery.state == (State.DELIVERED if accepted else State.CANCELLED)
    assert delivery.reason == ("accepted" if accepted else "cancelled_by_request")
    assert delivery.finished_at is not None
    assert delivery.next_attempt_at is None
    assert delivery.attempt_log.get(duration_ms=12.5).success == accepted


def test_a_record_that_waited_for_a_cancellation_leaves_it_cancelled(delivery: Delivery) -> None:
    claimed = claimed_from(delivery)

    def late() -> bool:
        try:
            return record(outcome_of(claimed, **FAILED))
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            cancel_one(delivery.id, "cancelled_by_request")
            waiting = threads.submit(late)
            wait_until_blocked()

        assert not waiting.result()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.next_attempt_at) == (State.CANCELLED, None)


def test_a_broken_connection_costs_one_repetition(delivery: Delivery) -> None:
    outcome = outcome_of(claimed_from(delivery), **ACCEPTED)
    terminate_own_connection()
    pauses: list[float] = []

    taken = record_while_leased(outcome, lease_ends=time.monotonic() + 10, pause=pauses.append)

    assert taken
    assert len(pauses) == 1
    assert Attempt.objects.count() == 1


def test_a_database_that_comes_back_within_the_lease_gets_the_record(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = outcome_of(claimed_from(delivery), **ACCEPTED)
    pauses: list[float] = []

    with monkeypatch.context() as away:
        move_database_away(away)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                away.undo()

        taken = record_while_leased(outcome, lease_ends=time.monotonic() + 10, pause=pause)

    assert (taken, len(pauses)) == (True, 3)


def test_recording_gives_up_when_the_lease_ends(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(claimed_from(delivery), **ACCEPTED)
    started = time.monotonic()

    with monkeypatch.context() as away:
        move_database_away(away)
        with pytest.raises(OperationalError):
            record_while_leased(outcome, lease_ends=started + 1.2)
        took = time.monotonic() - started

    assert 0.4 < took < 1.2
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == (State.PENDING, 0)
    expire_lease(delivery)
    assert claimed_from(delivery).claim_number == 2


def terminate_own_connection() -> None:
    """End this thread's connection from another one, as a restarting server would."""
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def move_database_away(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    monkeypatch.setitem(connections["default"].settings_dict, "PORT", closed_port())
