"""Group commit: custom events of calls that came at the same time are stored in one transaction.

A transaction of its own for each costs PostgreSQL a flush of its log and the API five statements. While
one is under way the next calls gather; together they cost hardly more than one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection

from delivery.batches import Batches
from delivery.custom_events import CustomEvent, custom_events
from delivery.database import DATABASE_AWAY, PLANNED_ONCE, OwnConnection, close_connection
from delivery.models import Event
from subscriptions.api import throttling
from subscriptions.api.authentication import Caller
from subscriptions.rate_limits import Verdict
from webhooks_project.connections import drop_dead_connection
from webhooks_project.process import OfProcess

logger = logging.getLogger(__name__)

# Their bodies, of at most API_BODY_MAX_BYTES each, are one statement.
EVENTS_MAX = 64
# About what storing a batch takes. Of 32 callers at once 1,175 events a second without it, 1,200 with 2 ms,
# 1,330 with 5 ms, 1,240 with 8 ms, 1,080 with 12 ms.
GATHER_SECONDS = 0.005


@dataclass(frozen=True)
class Stored:
    """It is committed."""

    event: Event
    verdict: Verdict | None


# None: not stored, and it is for the ordinary view to say why.
Answer = Stored | Exception | None


@dataclass(frozen=True)
class Asked:
    """A call that waits; `answer` is called once, from another thread."""

    caller: Caller
    event: CustomEvent
    answer: Callable[[Answer], None]
    #: called once for all calls of a batch that have the same, when each of them has its answer
    tell: Callable[[], None] | None = None


class Ingest:
    """Stores what is put to it, whatever has gathered at a time."""

    def __init__(self) -> None:
        self._batches = Batches(
            "ingest",
            self._answer_all,
            most=EVENTS_MAX,
            gather_seconds=GATHER_SECONDS,
            leave=close_connection,
        )
        self._connection = OwnConnection(PLANNED_ONCE)
        self._batches.start()

    def stop(self, seconds: float) -> None:
        """Answer what was put before, then end; waits at most so long."""
        self._batches.stop(seconds)

    def put(self, asked: Asked) -> None:
        self._batches.put(asked)

    def _answer_all(self, calls: list[Asked]) -> None:
        answers: dict[int, Answer] = {}
        try:
            drop_dead_connection()
            self._connection.ready()
            answers = _stored(calls)
        except DATABASE_AWAY as error:
            connection.close()
            answers = {id(call): error for call in calls}
        except Exception:
            # Nothing was stored. The ordinary view finds out which of them it was.
            logger.exception("events of %d calls could not be stored together", len(calls))
        finally:
            for call in calls:
                call.answer(answers.get(id(call)))
            for tell in {call.tell for call in calls if call.tell}:
                tell()


def _stored(calls: Sequence[Asked]) -> dict[int, Answer]:
    verdicts = _counted(calls)
    counted = [call for call in calls if id(call) in verdicts]
    told = custom_events([call.event for call in counted])
    return {
        id(call): Stored(event, verdicts[id(call)])
        for call, event in zip(counted, told, strict=True)
        if isinstance(event, Event)
    }


def _counted(calls: Sequence[Asked]) -> dict[int, Verdict | None]:
    """Those that their callers' rates allow, each caller's asked for in one go."""
    by_caller: dict[Caller, list[Asked]] = {}
    for call in calls:
        by_caller.setdefault(call.caller, []).append(call)
    allowed: dict[int, Verdict | None] = {}
    for caller, own in by_caller.items():
        verdict = throttling.count(caller, len(own))
        if verdict is None or verdict.is_allowed:
            allowed |= {id(call): verdict for call in own}
        # Else no place was taken: the ordinary view asks for each call, and some may find one.
    return allowed


ingest = OfProcess(Ingest)
