"""Attempts counted by time: each exactly once, and only those that were sent for real."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from delivery import tasks
from delivery.models import AttemptCount, Delivery, StatsMark
from delivery.stats import roll_up, selectors
from delivery.stats.selectors import SPANS, Counts, Whose
from subscriptions.models import Organization, Subscription
from tests.counted import FAILED, TIMED_OUT, attempted, count
from tests.factories import at_once
from tests.integration.test_outbox import happen
from tests.integration.test_queries import fill, plan
from tests.receiver import Receiver

AT = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is counted at once, by beat's task as well."""
    monkeypatch.setattr(roll_up, "UNSEEN_SECONDS", 0.0)


def of(span: str, now: datetime = AT, whose: Whose = selectors.ALL) -> Counts:
    return selectors.total(selectors.steps(SPANS[span], now=now, whose=whose))


def ever() -> int:
    return selectors.ever().attempts


def test_what_workers_did_is_counted(
    organization: Organization,
    subscribe: Callable[..., Subscription],
    attempt: Callable[..., Any],
    receiver: Receiver,
) -> None:
    subscription = subscribe()
    receiver.reply(500, 204)
    delivery = happen(organization).deliveries.get()
    attempt(delivery)
    Delivery.objects.update(next_attempt_at=timezone.now() - HOUR)
    attempt(delivery, 2)

    count()

    whose = Whose(organization.pk, subscription.pk)
    for found in (of("hour", timezone.now()), of("day", timezone.now(), whose), selectors.ever()):
        assert found.answers == {"5xx": 1, "2xx": 1}
        assert (found.attempts, found.delivered, found.given_up) == (2, 1, 0)
        assert found.durations.total() == 2
        assert found.firsts.total() == 1


def test_counting_again_counts_nothing_twice_and_forgets_nothing() -> None:
    for _ in range(3):
        attempted(2)
        count()
        count()

    assert ever() == 6
    assert of("hour", timezone.now()).attempts == 6


def test_two_that_count_at_once_count_each_attempt_once() -> None:
    attempted(20, at=AT)
    attempted(20)

    at_once(*[roll_up.roll_up] * 4)
    count()

    assert ever() == 40


def test_a_round_that_is_killed_in_the_middle_leaves_nothing_and_the_next_one_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    count()
    attempted(3)

    def die(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(StatsMark, "save", die)
        with pytest.raises(KeyboardInterrupt):
            count()
    assert not AttemptCount.objects.exists()

    count()
    assert ever() == 3


def test_what_a_transaction_wrote_before_others_and_commits_after_them_is_counted() -> None:
    late = connections["default"].copy()
    late.set_autocommit(False)
    try:
        attempted(on=late)
        attempted(2)
        count()
        assert ever() == 0, "they are younger than what is still to come"

        late.commit()
        count()
        assert ever() == 3
    finally:
        late.close()


def test_a_long_transaction_that_writes_no_attempts_holds_nothing_up() -> None:
    other = connections["default"].copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id(), count(*) FROM delivery_attempt")
        attempted(2)
        count()
    finally:
        other.close()

    assert ever() == 2


def test_what_is_younger_than_a_writer_may_be_unseen_waits() -> None:
    attempted()
    attempted(at=timezone.now() - 2 * HOUR)

    count(unseen_seconds=3_600.0)

    assert ever() == 1


def test_the_clock_of_this_host_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    attempted(2)
    with monkeypatch.context() as wrong:
        wrong.setattr(timezone, "now", lambda: AT - timedelta(days=400))
        count()
    attempted(1)
    count()

    assert ever() == 3


def test_an_old_log_is_counted_in_rounds_of_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roll_up, "ROUND_ROWS", 10)
    for day in range(5):
        attempted(7, at=AT + timedelta(days=day), subscription_id=70 + day)
    # More at one moment than a round has: they are not parted.
    attempted(25, at=AT + timedelta(days=6))

    with CaptureQueriesContext(connection) as captured:
        rounds = count()

    assert ever() == 60
    assert rounds >= 3
    inserts = [
        query for query in captured.captured_queries if "INSERT INTO delivery_attemptcount" in query["sql"]
    ]
    assert len(inserts) == rounds


def test_rounds_end_when_their_time_is_over_and_the_next_time_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(roll_up, "ROUND_ROWS", 1)
    for minute in range(6):
        attempted(at=AT + timedelta(minutes=minute))
    with monkeypatch.context() as short:
        short.setattr(roll_up, "ROUNDS_MAX_SECONDS", 0.0)
        assert count() == 0
    assert ever() == 0

    count()
    assert ever() == 6


@pytest.mark.parametrize(
    ("values", "answers"),
    [
        ({}, {"2xx": 1}),
        (FAILED, {"5xx": 1}),
        (TIMED_OUT, {"timeout": 1}),
        # It began to answer and did not end in time.
        (TIMED_OUT | {"status_code": 200}, {"timeout": 1}),
        ({"status_code": None, "error_class": "dns_error"}, {"dns_error": 1}),
        ({"late": True}, {"2xx": 1}),
        ({"is_test": True}, {}),
        ({"status_code": None, "error_class": "cancelled", "duration_ms": None}, {}),
        ({"status_code": None, "error_class": "subscription_disabled", "duration_ms": None}, {}),
        ({"status_code": None, "error_class": "address_not_allowed", "duration_ms": None}, {}),
        ({"status_code": None, "error_class": "worker_lost", "duration_ms": None}, {}),
        ({"status_code": None, "error_class": "not_sent"}, {}),
    ],
)
def test_attempts_are_counted_by_their_answer_but_tests_and_what_was_not_sent(
    values: dict[str, Any], answers: dict[str, int]
) -> None:
    attempted(at=AT, **values)
    count()

    assert of("hour").answers == answers


def test_deliveries_end_well_or_are_given_up_or_neither() -> None:
    attempted(3, at=AT)
    attempted(2, at=AT, **FAILED, next_retry_at=AT + HOUR)
    attempted(1, at=AT, **FAILED)
    # Another worker's claim has taken over: what that records is the truth.
    attempted(1, at=AT, late=True)
    attempted(1, at=AT, **FAILED, late=True)
    count()

    found = of("hour")
    assert (found.attempts, found.delivered, found.given_up, found.success_rate) == (8, 3, 1, 0.75)


def test_latency_is_from_the_making_of_a_delivery_to_its_first_request() -> None:
    attempted(99, at=AT, waited_ms=40.0, duration_ms=700.0)
    attempted(1, at=AT, waited_ms=20_000.0, duration_ms=700.0)
    # A retry, and one whose host's clock is ahead.
    attempted(5, at=AT, waited_ms=90_000.0, number=2)
    attempted(5, at=AT, waited_ms=-5_000.0)
    count()

    found = of("hour")
    assert found.firsts.total() == 105
    assert 25 <= (found.first_ms(0.5) or math.nan) <= 50
    assert 10_000 <= (found.first_ms(1.0) or math.nan) <= 30_000
    assert 500 <= (found.request_ms(0.5) or math.nan) <= 1_000


def test_counts_are_of_all_of_each_organization_and_of_each_subscription() -> None:
    attempted(1, at=AT, organization_id=7, subscription_id=70)
    attempted(2, at=AT, organization_id=7, subscription_id=71)
    attempted(4, at=AT, organization_id=7, subscription_id=None)  # callbacks
    attempted(8, at=AT, organization_id=8, subscription_id=80)
    count()

    assert of("hour").attempts == of("week").attempts == 15
    assert of("day", whose=Whose(7)).attempts == of("week", whose=Whose(7)).attempts == 7
    assert of("day", whose=Whose(7, 71)).attempts == 2
    assert of("day", whose=Whose(8, 71)).attempts == 0


@pytest.mark.parametrize("span", SPANS)
def test_each_attempt_of_a_span_is_in_the_step_of_its_time(span: str) -> None:
    chosen = SPANS[span]
    times = [AT - chosen.step * n for n in (0, 1, 5, 30)]
    for at in times:
        attempted(at=at)
    attempted(at=AT - chosen.length - chosen.step)
    count()

    found = selectors.steps(chosen, now=AT)
    assert [at for at, _ in found] == sorted({at for at, _ in found})
    filled = [at for at, counts in found if counts.attempts]
    assert len(filled) == 4
    assert all(at <= time < at + chosen.step for at, time in zip(filled, reversed(times), strict=True))


def test_old_counts_are_forgotten_but_those_of_ever(settings: Settings) -> None:
    settings.STATS_MINUTES_RETENTION_DAYS, settings.STATS_HOURS_RETENTION_DAYS = 2, 40
    now = timezone.now()
    for days in (1, 3, 50):
        attempted(at=now - timedelta(days=days))
    count()

    tasks.forget_counts()

    kept = {
        grain: AttemptCount.objects.filter(grain=grain, measure="request") for grain in ("minute", "hour")
    }
    assert kept["minute"].count() == 1
    assert kept["hour"].filter(organization=None).count() == 2
    assert ever() == 3


def test_forgetting_goes_in_batches(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.STATS_MINUTES_RETENTION_DAYS = settings.STATS_HOURS_RETENTION_DAYS = 2
    monkeypatch.setattr(roll_up, "FORGET_ROWS", 2)
    for minute in range(5):
        attempted(at=AT - timedelta(days=400, minutes=minute))
    count()

    roll_up.forget_old()

    assert set(AttemptCount.objects.values_list("grain", flat=True)) == {"ever"}


def test_the_log_and_the_counts_are_read_by_their_indexes(organization: Organization) -> None:
    fill(organization)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_attempt SET created_at = now() - random() * interval '30 days'")
        cursor.execute("ANALYZE delivery_attempt")
    count()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_attemptcount")
    now = timezone.now()
    asked = {"mark": now - HOUR / 2, "until": now, "rows": 1_000, "unseen": 2.0, "hidden": 60.0}
    asked |= {"slots": [1.0, 2.0], "unsent": ["cancelled"]}
    of_all = {"organization": "IS NULL", "subscription": "IS NULL"}
    scope = {"organization": "= 7", "subscription": "= 6"}
    since = {"step": HOUR, "grain": "hour", "since": timezone.now() - 48 * HOUR}

    plans = {
        "attempt_created": plan(roll_up.COUNT, asked),
        "attempt_created ": plan(roll_up.UNTIL, asked),
        "attemptcount_once": plan(selectors.STEPS.format(**scope), since),
        "attemptcount_once ": plan(selectors.STEPS.format(**of_all), since),
        "attemptcount_old": plan(roll_up.FORGET, {"grain": "hour", "days": 90, "rows": 100}),
    }

    missed = {index: text for index, text in plans.items() if index.strip() not in text}
    assert missed == {}
    assert not [text for text in plans.values() if "Seq Scan on delivery_attempt" in text]


def test_beat_asks_for_it_and_a_counting_that_is_held_up_is_left_to_the_next_time() -> None:
    attempted()
    count()
    attempted()
    holder = connections["default"].copy()
    holder.set_autocommit(False)
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT 1 FROM delivery_statsmark FOR UPDATE")
        tasks.roll_up()
        assert ever() == 1
    finally:
        holder.close()

    tasks.roll_up()
    assert ever() == 2


def test_a_count_that_takes_too_long_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    attempted()
    with monkeypatch.context() as slow:
        slow.setattr(roll_up, "COUNT", "SELECT pg_sleep(60)")
        slow.setattr(roll_up, "STATEMENT_MAX_MILLISECONDS", 500)
        tasks.roll_up()
    assert ever() == 0

    count()
    assert ever() == 1
