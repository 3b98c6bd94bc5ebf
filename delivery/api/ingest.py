"""Group commit: custom events of calls that came at the same time are stored in one transaction.

A transaction of its own for each costs PostgreSQL a flush of its log and the API five statements. While
one is under way the next calls gather; together they cost hardly more than one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import connection

from delivery.batches import Batches
from delivery.custom_events import CustomEvent, custom_events
from delivery.database import PLANNED_ONCE, OwnConnection, close_connection, is_away
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


@dataclass(frozen=True)
class Counted:
    """Not stored, and it is for the ordinary view to say why; the caller's rate has counted it already."""

    verdict: Verdict | None


# What the callers' rates said of those calls that they allow, by the calls' identity.
Verdicts = Mapping[int, Verdict | None]
# An exception: the database went away. None: as Counted, but not counted yet.
Answer = Stored | Exception | Counted | None


@dataclass(frozen=True)
class Waiting:
    """A call that waits; `answer` is called once, from another thread."""

    caller: Caller
    answer: Callable[[Any], None]
    #: called once for all calls of a batch that have the same, when each of them has its answer
    tell: Callable[[], None] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Asked(Waiting):
    """One that reports an event; it gets an Answer."""

    event: CustomEvent


Call = TypeVar("Call", bound=Waiting)
# What becomes of each call that is allowed, by its identity; one that is missing is for the ordinary view.
Store = Callable[[Sequence[Call], Verdicts], Mapping[int, Any]]


class Gathering(Generic[Call]):
    """Stores what is put to it, whatever has gathered at a time."""

    def __init__(
        self,
        name: str,
        store: Store[Call],
        *,
        settings: str = PLANNED_ONCE,
        size: Callable[[Call], int] = lambda call: 1,
        most: int = EVENTS_MAX,
    ) -> None:
        """At a time calls that together have the size `most`, or a single larger one."""
        self._store, self._size, self._most = store, size, most
        self._batches = Batches(
            name,
            self._answer_all,
            most=most,
            gather_seconds=GATHER_SECONDS,
            leave=close_connection,
        )
        self._connection = OwnConnection(settings)
        self._batches.start()

    def stop(self, seconds: float) -> None:
        """Answer what was put before, then end; waits at most so long."""
        self._batches.stop(seconds)

    def put(self, call: Call) -> None:
        self._batches.put(call)

    def _answer_all(self, calls: list[Call]) -> None:
        for together in in_bounds(calls, self._size, self._most):
            self._answer_together(together)

    def _answer_together(self, calls: list[Call]) -> None:
        answers: Mapping[int, Any] = {}
        verdicts: Verdicts = {}
        try:
            drop_dead_connection()
            self._connection.ready()
            verdicts = counted(calls)
            answers = self._store([call for call in calls if id(call) in verdicts], verdicts)
        except Exception as error:
            if is_away(error):
                connection.close()
                answers = {id(call): error for call in calls}
            else:
                # Nothing was stored. The ordinary view finds out which of them it was.
                logger.exception("what %d calls report could not be stored together", len(calls))
        finally:
            left = {id_: Counted(verdict) for id_, verdict in verdicts.items()}
            for call in calls:
                call.answer(answers.get(id(call), left.get(id(call))))
            for tell in {call.tell for call in calls if call.tell}:
                tell()


def in_bounds(calls: Sequence[Call], size: Callable[[Call], int], most: int) -> Iterator[list[Call]]:
    """In their order, so many at a time as have this size together, or a single larger one."""
    together: list[Call] = []
    for call in calls:
        if together and sum(map(size, together)) + size(call) > most:
            yield together
            together = []
        together.append(call)
    if together:
        yield together


class Ingest(Gathering[Asked]):
    """Of events."""

    def __init__(self) -> None:
        super().__init__("ingest", lambda calls, verdicts: _stored(calls, verdicts))


def _stored(calls: Sequence[Asked], verdicts: Verdicts) -> dict[int, Stored | Exception]:
    told = custom_events([call.event for call in calls])
    return {
        id(call): Stored(one, verdicts[id(call)]) if isinstance(one, Event) else one
        for call, one in zip(calls, told, strict=True)
        if isinstance(one, Event) or is_away(one)
    }


def counted(calls: Sequence[Waiting]) -> Verdicts:
    """Those of them that their callers' rates allow, each caller's asked for in one go."""
    by_caller: dict[Caller, list[Waiting]] = {}
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
