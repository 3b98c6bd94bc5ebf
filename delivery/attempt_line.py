"""One wide line of the log per attempt: what one asks for when something went wrong; ids and figures only.

docs/operations.md has every field. Nothing is put together unless somebody writes the line down.
"""

import time
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings

from delivery.claim import Claimed
from delivery.recorder import Outcome
from delivery.slow import receiver_of

_worker = ""


def name_worker(name: str) -> None:
    """The name that all lines of this process bear from now on, and those of its forked children."""
    global _worker
    _worker = name


class AttemptLine(NamedTuple):
    """Given to the logger as the message: `str` makes the line for people, `fields` the one for machines."""

    outcome: Outcome
    taken: bool

    def __str__(self) -> str:
        values = self._values()
        values["phases_ms"] = self.outcome.phases
        return "attempt " + " ".join([f"{name}={value}" for name, value in values.items()])

    def fields(self) -> dict[str, Any]:
        values = self._values()
        if (phases := self.outcome.phases) is not None:
            values["phases_ms"] = {name: round(spent / 1000, 1) for name, spent in phases.measured()}
        return {"message": "attempt", **values}

    def _values(self) -> dict[str, Any]:
        outcome, claimed = self.outcome, self.outcome.claimed
        status, delay = outcome.status_code, outcome.delay_seconds
        return {
            "delivery": str(claimed.id),
            "event": claimed.event_id,
            "type": claimed.event_type,
            "organization": claimed.organization_id,
            "subscription": claimed.subscription_id,
            "attempt": claimed.attempt,
            "lane": claimed.lane,
            "receiver": receiver_of(outcome.url),
            "state": outcome.state.value,
            "reason": outcome.reason,
            "answer": "none" if status is None else f"{status // 100}xx",
            "status": status,
            "error": outcome.error_class or None,
            "ms": outcome.duration_ms and round(outcome.duration_ms, 1),
            "phases_ms": None,
            "bytes": len(claimed.body),
            "retry_in": delay and round(delay, 1),
            "retry_at": delay and _after(delay),
            "recorded": self.taken,
            "test": claimed.is_test,
            "worker": _worker or None,
            "trace": _trace(claimed) if settings.TRACING else None,
        }


def _trace(claimed: Claimed) -> str:
    from delivery import spans

    return spans.trace_id(claimed)


def _after(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat(timespec="milliseconds")
