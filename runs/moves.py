"""What a report makes of a run or step that is at hand, or why it is refused. Nothing is written here.

A repeat of a report is recognised by its fingerprint, answered as the first time, and tells nobody.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.utils import timezone

from runs import outputs
from runs.dialects import profiles
from runs.held import HeldRun
from runs.models import Run, Workflow, WorkflowVersion
from runs.states import (
    ENDED,
    RUN_MOVES,
    STEP_EVENTS,
    Move,
    RunStatus,
    StepStatus,
    step_move_allowed,
)
from webhooks_project.errors import Conflict, InvalidInput, NotFound

# A run that some executor has taken up.
STARTED = frozenset({RunStatus.RUNNING, RunStatus.PAUSED})
# Clocks of callers and executors may run ahead a little.
FUTURE_TOLERANCE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What an executor says; `values` are the fields of the body that belong to the move."""

    values: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    #: may `occurred_at` lie before the run was created here (a key that imports)?
    may_import: bool = False

    @property
    def fingerprint(self) -> str:
        """The same for the same report, whenever it says that it happened."""
        text = json.dumps(self.values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Happened(NamedTuple):
    """A move that was made: when, and the event that tells of it, if one does."""

    at: datetime
    event_type: str | None


def move_run(held: HeldRun, move: Move, report: Report) -> Happened | None:
    """Move a run; None for a repeat. Raises InvalidInput, or Conflict naming the state it is in."""
    run = held.run
    before = RunStatus(run.status)
    if move is Move.START and before in STARTED and _is_another_executor(run, report):
        raise Conflict("the run was started by another executor", field="executor_id", code="other_executor")
    if before not in RUN_MOVES[move].sources or _is_repeat_of_progress(run, move, report):
        if _is_repeat(run, move, report):
            return None
        raise Conflict(f"the run is {run.status}: it cannot {move}", code="impossible_move")
    now = _moment(report, run.created_at, run.started_at)
    _apply(held, move, report, now)
    run.reports[move] = report.fingerprint
    run.updated_at = timezone.now()
    held.changed = True
    return Happened(now, _event_type(run, before, move))


def move_step(held: HeldRun, key: str, move: Move, report: Report) -> Happened | None:
    """Move a step of a running run; its start makes it. Raises NotFound, InvalidInput, Conflict."""
    run, step = held.run, held.steps.get(key)
    status = None if step is None else StepStatus(step.status)
    fingerprint = report.fingerprint
    if step is not None and step.reports.get(move) == fingerprint:
        return None
    if step is None and move is not Move.START:
        raise NotFound(f"Step {key} of run {run.public_id} has not been started", code="step_not_started")
    if run.status != RunStatus.RUNNING:
        raise Conflict(f"the run is {run.status}: its steps cannot move", code="impossible_move")
    if not step_move_allowed(move, status):
        raise Conflict(f"the step is {status}: it cannot {move}", code="impossible_move")
    now = _moment(report, run.created_at, step.started_at if step else run.started_at)
    if step is None:
        step = held.new_step(key, started_at=now)
    step.status, event_type = STEP_EVENTS[move]
    if move is not Move.START:
        step.ended_at = now
    for name, value in report.values.items():
        setattr(step, name, value)
    step.reports[move] = fingerprint
    held.changed_steps.add(key)
    return Happened(now, event_type)


def outputs_in_force(workflow: Workflow, version: WorkflowVersion) -> Mapping[str, str] | None:
    """The configured outputs, if the version's format sends them and not the whole context anyway."""
    sends_all = profiles()[workflow.dialect].whole_context_formats
    return None if version.payload_format in sends_all else version.outputs


def _apply(held: HeldRun, move: Move, report: Report, now: datetime) -> None:
    """Put the move's effects on the object."""
    run = held.run
    target = RUN_MOVES[move].target
    values = report.values
    if target is not None:
        run.status = target
    if move is Move.START:
        run.started_at = run.started_at or now
        run.executor_id = values.get("executor_id") or run.executor_id
    if move is Move.PROGRESS:
        run.progress = values["progress"]
    if "artifacts" in values:
        run.artifacts = values["artifacts"]
    if "error" in values:
        run.error = values["error"]
    if target in ENDED:
        run.ended_at = now
        run.progress = ""
    if move is Move.COMPLETE:
        _set_output(held, values.get("output"))


def _set_output(held: HeldRun, reported: Any) -> None:
    """The configured outputs, or what the executor reported; an unknown name fails the run (seed 000).

    By the version that the run started with, whatever its workflow has been switched to since.
    """
    run = held.run
    configured = outputs_in_force(run.workflow, run.version)
    if not configured:
        run.output = reported
        return
    try:
        run.output = outputs.resolve(configured, held.detail().variables() | {"output": reported})
    except outputs.UnknownVariable as error:
        run.status = RunStatus.FAILED
        run.error = {"message": str(error), "code": "unknown_variable"}


def _event_type(run: Run, before: RunStatus, move: Move) -> str | None:
    if move is Move.COMPLETE and run.status == RunStatus.FAILED:
        return RUN_MOVES[Move.FAIL].events[before]
    return RUN_MOVES[move].events.get(before)


def _is_repeat_of_progress(run: Run, move: Move, report: Report) -> bool:
    return move is Move.PROGRESS and run.reports.get(move) == report.fingerprint


def _is_repeat(run: Run, move: Move, report: Report) -> bool:
    """Was this said before? A start is the same whatever else it says, if it is the same executor's."""
    if move is Move.START:
        return run.started_at is not None and not _is_another_executor(run, report)
    return bool(run.reports.get(move) == report.fingerprint)


def _is_another_executor(run: Run, report: Report) -> bool:
    """Who gives no id is nobody else."""
    return bool(report.values.get("executor_id", run.executor_id) != run.executor_id)


def _moment(report: Report, created_at: datetime, started_at: datetime | None) -> datetime:
    """When it happened. Raises InvalidInput for a time that cannot be."""
    now = timezone.now()
    if report.occurred_at is None:
        return now
    if report.occurred_at > now + FUTURE_TOLERANCE:
        raise InvalidInput("occurred_at lies in the future", field="occurred_at", code="in_the_future")
    earliest = started_at or (None if report.may_import else created_at)
    if earliest is not None and report.occurred_at < earliest:
        raise InvalidInput(
            f"occurred_at must not lie before {earliest.isoformat()}", field="occurred_at", code="too_early"
        )
    return report.occurred_at
