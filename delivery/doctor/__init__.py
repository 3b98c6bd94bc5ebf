"""Looks at everything that delivery needs and says what is wrong and what to do about it.

`examine()` is `manage.py doctor`; delivery/doctor/readiness.py asks the few things that a probe has
time for. Modules here judge facts in pure functions, so that each judgement is tested by itself.
"""

from collections.abc import Callable, Iterable, Iterator

from django.conf import settings
from django.db import DatabaseError, Error, connection

from delivery import presence
from delivery.broker import BrokerAway, BrokerFacts, ask, queue_names
from delivery.canary import age_seconds
from delivery.doctor import broker, database, rows, upkeep, workers
from delivery.doctor.bounded import Question
from delivery.doctor.finding import Finding, Level, error, worst

__all__ = ["Finding", "Level", "examine", "worst"]

CANARY_QUEUE = "maintenance"
# Several answers of the broker, each within BROKER_SOCKET_TIMEOUT_SECONDS.
BROKER_MAX_SECONDS = 10.0
DATABASE_MAX_SECONDS = 45.0


def examine() -> list[Finding]:
    """All findings, in the order of the chain: settings, database, broker, workers, rows. Bounded in time."""
    facts, of_broker = _broker()
    return [
        *database.system_checks(with_database=False),
        *_database(facts),
        *of_broker,
    ]


def _broker() -> tuple[BrokerFacts | None, list[Finding]]:
    try:
        facts = Question(lambda: ask(settings.BROKER_SOCKET_TIMEOUT_SECONDS)).answer(BROKER_MAX_SECONDS)
    except BrokerAway as away:
        return None, [broker.away(str(away))]
    except TimeoutError:
        return None, [broker.away(f"no answer in {BROKER_MAX_SECONDS:g} s")]
    return facts, broker.judge(facts)


def _database(facts: BrokerFacts | None) -> list[Finding]:
    try:
        return Question(lambda: _on_own_connection(facts)).answer(DATABASE_MAX_SECONDS)
    except Error as away:
        return [database.away(" ".join(str(away).split()))]
    except TimeoutError:
        return [database.away(f"no answer in {DATABASE_MAX_SECONDS:g} s")]


def _on_own_connection(facts: BrokerFacts | None) -> list[Finding]:
    """In a thread, whose connection nobody else uses."""
    try:
        answers, migrations = database.prepare(), database.migrations()
        findings = [answers, *database.system_checks(with_database=True), migrations, database.host_clock()]
        if migrations.level is Level.ERROR:
            # The tables are not those of this code.
            return findings
        return [*findings, *_work(facts)]
    finally:
        connection.close()


def _work(facts: BrokerFacts | None) -> Iterator[Finding]:
    waiting = None if facts is None else facts.waiting
    yield from _look("workers", lambda: workers.judge(presence.seen(), queue_names(), waiting))
    in_queue = None if waiting is None else waiting.get(CANARY_QUEUE)
    yield from _look("beat.canary", lambda: [workers.judge_canary(age_seconds(), in_queue)])
    for id_, check in {**rows.CHECKS, **upkeep.CHECKS}.items():
        yield from _look(id_, check)


def _look(id_: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """One look that fails does not take the others with it."""
    try:
        return list(check())
    except DatabaseError as failure:
        connection.ensure_connection()
        reason = " ".join(str(failure).split())
        return [
            error(id_, f"could not be looked at: {reason}", "Look at the load and the log of the database.")
        ]
