"""What a probe wants to know, in bounded time and at bounded cost: can this service do its job?"""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import Error, connection

from delivery import presence
from delivery.broker import BrokerAway, ping
from delivery.canary import age_seconds
from delivery.doctor.bounded import Question

PARTS = ("database", "broker", "workers")
# Together less than three seconds, so that a probe with that time limit gets its answer.
DATABASE_MAX_SECONDS = 1.3
BROKER_MAX_SECONDS = 1.3
BROKER_ANSWER_MAX_SECONDS = 1.0
# The probes are open to everyone: however many come, the servers are asked once a second.
KEPT_SECONDS = 1.0


def ask_database() -> tuple[float | None, int]:
    """Age of the canary, and workers that live."""
    try:
        return age_seconds(), presence.alive_count()
    finally:
        connection.close()


_database: Question[tuple[float | None, int]] = Question(ask_database)
_broker: Question[None] = Question(lambda: ping(BROKER_ANSWER_MAX_SECONDS))


def readiness(exclude: Collection[str] = ()) -> tuple[bool, dict[str, Any]]:
    """Whether all parts but the excluded ones do their job, and what is known of each.

    Says no more than names of errors: messages would tell strangers of hosts and addresses.
    """
    answer: dict[str, Any] = {"status": "ok", "problems": []}
    wrong: dict[str, str] = {}
    age, workers = None, None
    try:
        age, workers = _database.answer(DATABASE_MAX_SECONDS, kept_seconds=KEPT_SECONDS)
        answer["database"] = "ok"
    except (Error, TimeoutError) as error:
        answer["database"] = type(error).__name__
        wrong["database"] = "database.answers"
    try:
        _broker.answer(BROKER_MAX_SECONDS, kept_seconds=KEPT_SECONDS)
        answer["broker"] = "ok"
    except (BrokerAway, TimeoutError) as error:
        answer["broker"] = type(error.__cause__ or error).__name__
        wrong["broker"] = "broker.answers"
    answer["workers"] = workers
    answer["worker_seen_seconds_ago"] = None if age is None else round(age, 1)
    if workers is not None and (age is None or age > settings.CANARY_OLD_SECONDS):
        wrong["workers"] = "beat.canary"
    if workers == 0:
        wrong["workers"] = "workers.alive"
    answer["problems"] = [id_ for part, id_ in wrong.items() if part not in exclude]
    answer["status"] = "unavailable" if answer["problems"] else "ok"
    return not answer["problems"], answer
