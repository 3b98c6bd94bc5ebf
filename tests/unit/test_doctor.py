"""The doctor's judgements, each on facts that are given to it."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from delivery.broker import BrokerFacts
from delivery.doctor import broker, finding, workers
from delivery.doctor.bounded import Question
from delivery.doctor.finding import Finding, Level
from delivery.doctor.rows import judge_lateness
from delivery.models import Worker

HEALTHY: dict[str, Any] = {
    "configuration": {"appendonly": "yes", "maxmemory-policy": "noeviction"},
    "memory": {"used_memory": 1_000_000, "maxmemory": 0, "maxmemory_policy": "noeviction"},
    "persistence": {"aof_enabled": 1, "aof_last_write_status": "ok", "rdb_last_bgsave_status": "ok"},
    "clock_ahead_seconds": 0.01,
    "waiting": {},
}


def of_broker(**facts: Any) -> dict[str, Finding]:
    return {one.id: one for one in broker.judge(BrokerFacts(**HEALTHY | facts))}


def levels(findings: dict[str, Finding]) -> set[Level]:
    return {one.level for one in findings.values()}


def test_a_broker_that_keeps_everything_is_healthy() -> None:
    assert levels(of_broker()) == {Level.OK}


BAD_BROKERS: dict[str, tuple[dict[str, Any], str, Level, str]] = {
    "no append-only file": (
        {"configuration": {"appendonly": "no"}, "persistence": {"aof_enabled": 0}},
        "broker.appendonly",
        Level.WARNING,
        "appendonly yes",
    ),
    "evicts": (
        {"configuration": {"appendonly": "yes", "maxmemory-policy": "allkeys-lru"}},
        "broker.eviction",
        Level.WARNING,
        "maxmemory-policy noeviction",
    ),
    "cannot write": (
        {"persistence": {"aof_enabled": 1, "aof_last_write_status": "err"}},
        "broker.writes",
        Level.ERROR,
        "disk",
    ),
    "full": (
        {"memory": {"used_memory": 95, "maxmemory": 100}},
        "broker.memory",
        Level.WARNING,
        "Raise maxmemory",
    ),
    "too old": (
        {"refuses_to_hand_out": "unknown command 'BLMPOP'"},
        "broker.commands",
        Level.ERROR,
        "Redis 7 or newer",
    ),
    "clock ahead": ({"clock_ahead_seconds": 9.0}, "broker.clock", Level.WARNING, "NTP"),
    "clock behind": ({"clock_ahead_seconds": -9.0}, "broker.clock", Level.WARNING, "NTP"),
}


@pytest.mark.parametrize(("facts", "id_", "level", "todo"), BAD_BROKERS.values(), ids=BAD_BROKERS)
def test_a_bad_setting_of_the_broker_is_found_with_what_to_do(
    facts: dict[str, Any], id_: str, level: Level, todo: str
) -> None:
    found = of_broker(**facts)

    assert found[id_].level is level
    assert todo in found[id_].todo
    assert levels({key: one for key, one in found.items() if key != id_}) == {Level.OK}


def test_a_managed_broker_that_refuses_config_is_judged_by_what_info_says() -> None:
    assert levels(of_broker(configuration=None)) == {Level.OK}


def test_what_a_broker_refuses_to_say_is_a_warning_that_says_so() -> None:
    found = of_broker(configuration=None, memory=None, persistence=None)

    unread = {id_ for id_, one in found.items() if one.level is Level.WARNING}
    assert unread == {"broker.appendonly", "broker.eviction", "broker.writes", "broker.memory"}
    assert all("could not be read" in found[id_].what for id_ in unread)


def a_worker(
    name: str = "worker-1@host", queues: str = "first retry", ahead: float = 0.0, idle: float = 5.0
) -> Worker:
    return Worker(
        name=name, queues=queues.split(), concurrency=16, clock_ahead_seconds=ahead, idle_seconds=idle
    )


def of_workers(*seen: tuple[Worker, float]) -> dict[str, Finding]:
    return {one.id: one for one in workers.judge(seen, ["first", "retry"], {"first": 7})}


def test_a_queue_is_served_by_the_workers_that_consume_it() -> None:
    found = of_workers((a_worker("a"), 1.0), (a_worker("b", "first"), 2.0))

    assert levels(found) == {Level.OK}
    assert found["workers.first"].what == "2 workers with 32 places; 7 messages wait"
    assert found["workers.retry"].what == "1 worker with 16 places; 0 messages wait"


def test_a_queue_that_nobody_consumes_is_an_error_that_names_it() -> None:
    found = of_workers((a_worker(queues="first"), 1.0))

    assert found["workers.retry"].level is Level.ERROR
    assert "retry" in found["workers.retry"].what
    assert "retry" in found["workers.retry"].todo
    assert found["workers.first"].level is Level.OK


def test_a_worker_that_fell_silent_serves_nothing_and_is_named(settings: Settings) -> None:
    settings.WORKER_SILENT_SECONDS = 30.0

    found = of_workers((a_worker(), 31.0))

    assert found["workers.first"].level is Level.ERROR
    assert found["workers.silent"].level is Level.WARNING
    assert "worker-1@host" in found["workers.silent"].what


def test_a_worker_that_fell_silent_long_ago_is_told_no_more() -> None:
    found = of_workers((a_worker("a"), 1.0), (a_worker("b"), 5 * 3600.0))

    assert levels(found) == {Level.OK}


@pytest.mark.parametrize(("idle", "other", "told"), [(121, 5, True), (119, 5, False), (500, 500, False)])
def test_a_worker_that_receives_nothing_while_others_do_is_named(
    idle: float, other: float, told: bool
) -> None:
    deaf, fine = a_worker("worker-1@host", idle=idle), a_worker("worker-2@host", idle=other)

    finding = of_workers((deaf, 1.0), (fine, 1.0))["workers.idle"]

    assert (finding.level is Level.WARNING) == told
    assert ("worker-1@host" in finding.what) == told


def test_a_worker_whose_clock_is_wrong_is_named() -> None:
    found = of_workers((a_worker("right"), 1.0), (a_worker("wrong", ahead=-240.0), 1.0))

    assert found["workers.clock"].level is Level.WARNING
    assert found["workers.clock"].what == "the clock of wrong is 240.0 s behind the database's"


@pytest.mark.parametrize(
    ("age", "waiting", "level", "suspect"),
    [
        (3.0, 0, Level.OK, ""),
        (None, 0, Level.ERROR, "beat runs"),
        (None, None, Level.ERROR, "beat runs"),
        (600.0, 0, Level.ERROR, "beat runs"),
        (600.0, 5, Level.ERROR, "workers hang"),
    ],
)
def test_an_old_canary_is_an_error_that_names_the_suspect(
    age: float | None, waiting: int | None, level: Level, suspect: str
) -> None:
    found = workers.judge_canary(age, waiting)

    assert (found.id, found.level) == ("beat.canary", level)
    assert suspect in found.todo


@pytest.mark.parametrize(
    ("rows", "seconds", "level"),
    [(0, 0.0, Level.OK), (3, 5.0, Level.OK), (3, 61.0, Level.WARNING), (3, 901.0, Level.ERROR)],
)
def test_lateness_is_judged_by_the_oldest_row(rows: int, seconds: float, level: Level) -> None:
    found = judge_lateness("retry", rows, seconds)

    assert (found.id, found.level) == ("due.retry", level)
    if level is not Level.OK:
        assert "deliveries.retry" in found.todo


def test_the_worst_finding_decides() -> None:
    fine, odd, bad = finding.ok("a", ""), finding.warning("b", "", ""), finding.error("c", "", "")

    assert finding.worst([]) is Level.OK
    assert finding.worst([fine, odd]) is Level.WARNING
    assert finding.worst([fine, bad, odd]) is Level.ERROR


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (130, "2 min"), (7200, "2 h"), (200_000, "2 days")]
)
def test_a_span_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert finding.span(seconds) == words


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Set it, and what hangs goes on."""
    over = threading.Event()
    yield over
    over.set()


def test_a_question_that_hangs_is_left_in_time(hanging: threading.Event) -> None:
    question = Question(hanging.wait)
    started = time.monotonic()

    with pytest.raises(TimeoutError):
        question.answer(0.1)

    assert time.monotonic() - started < 5


def test_a_question_that_hangs_is_not_asked_by_a_second_thread(hanging: threading.Event) -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        hanging.wait()

    question = Question(ask)

    for _ in range(3):
        with pytest.raises(TimeoutError):
            question.answer(0.01)

    assert len(asked) == 1


def test_a_question_that_hung_for_long_is_asked_anew(
    hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def ask() -> int:
        asked.append(1)
        if len(asked) == 1:
            hanging.wait()
        return len(asked)

    question = Question(ask)
    with pytest.raises(TimeoutError):
        question.answer(0.01)
    monkeypatch.setattr("delivery.doctor.bounded.ABANDONED_SECONDS", 0.0)

    assert question.answer(5) == 2


def test_an_answer_is_kept_as_long_as_the_caller_wants() -> None:
    numbers = iter(range(10))
    question = Question(lambda: next(numbers))

    assert [question.answer(5, kept_seconds=60) for _ in range(3)] == [0, 0, 0]
    assert [question.answer(5, kept_seconds=0) for _ in range(2)] == [1, 2]


def test_what_asking_raised_is_raised_to_who_waits() -> None:
    def ask() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Question(ask).answer(5)
