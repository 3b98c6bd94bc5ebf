"""Which move of a run or step is allowed when, and which event it emits. Pure.

ARCHITECTURE.md draws both machines with lettered edges.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from subscriptions import event_types


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


class StepStatus(StrEnum):
    """Where a step stands; it exists from its start on."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class Move(StrEnum):
    """What an executor reports."""

    START = "start"
    PAUSE = "pause"
    PROGRESS = "progress"
    COMPLETE = "complete"
    FAIL = "fail"
    TERMINATE = "terminate"
    TIME_OUT = "time-out"
    CANCEL = "cancel"


UNENDED = frozenset({RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED})
ENDED = frozenset(RunStatus) - UNENDED
# Ended with an error that receivers are told as a failure.
FAILED_IN_SOME_WAY = frozenset({RunStatus.FAILED, RunStatus.TERMINATED, RunStatus.TIMED_OUT})


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A move: where from, where to (None: it stays), and the event it emits from each state."""

    sources: frozenset[RunStatus]
    target: RunStatus | None
    events: Mapping[RunStatus, str]


def _ends(target: RunStatus, event: str, sources: frozenset[RunStatus] = UNENDED) -> Rule:
    return Rule(sources=sources, target=target, events=dict.fromkeys(sources, event))


RUN_MOVES: Mapping[Move, Rule] = {
    # From paused it is a resumption, of which nobody is told: the workflow started once.
    Move.START: Rule(
        sources=frozenset({RunStatus.QUEUED, RunStatus.PAUSED}),
        target=RunStatus.RUNNING,
        events={RunStatus.QUEUED: event_types.WORKFLOW_STARTED},
    ),
    Move.PAUSE: Rule(sources=frozenset({RunStatus.RUNNING}), target=RunStatus.PAUSED, events={}),
    Move.PROGRESS: Rule(sources=frozenset({RunStatus.RUNNING}), target=None, events={}),
    Move.COMPLETE: _ends(RunStatus.COMPLETED, event_types.WORKFLOW_COMPLETED, frozenset({RunStatus.RUNNING})),
    Move.FAIL: _ends(RunStatus.FAILED, event_types.WORKFLOW_FAILED),
    Move.TERMINATE: _ends(RunStatus.TERMINATED, event_types.WORKFLOW_FAILED),
    Move.TIME_OUT: _ends(RunStatus.TIMED_OUT, event_types.WORKFLOW_FAILED),
    Move.CANCEL: _ends(RunStatus.CANCELLED, event_types.WORKFLOW_CANCELLED),
}

STEP_EVENTS: Mapping[Move, tuple[StepStatus, str]] = {
    Move.START: (StepStatus.RUNNING, event_types.STEP_STARTED),
    Move.COMPLETE: (StepStatus.COMPLETED, event_types.STEP_COMPLETED),
    Move.FAIL: (StepStatus.FAILED, event_types.STEP_FAILED),
}


def step_move_allowed(move: Move, status: StepStatus | None) -> bool:
    """A step starts once, and ends only after it started; None: it does not exist yet."""
    return status is None if move is Move.START else status is StepStatus.RUNNING
