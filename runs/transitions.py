"""Reports of executors: a run or step moves, and its event is written in the same transaction.

The run's row is locked first, so reports of one run are decided one after another: the state, the
order of steps and the single end of a run hold under any concurrency. A repeat of a report is
recognised by its fingerprint, answered as the first time, and tells nobody.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from delivery import outbox
from delivery.callbacks import Callback
from runs import outputs, selectors
from runs.detail import RunDetail, run_data, step_data
from runs.dialects import profiles
from runs.messages import event_of
from runs.models import Run, Step, Workflow, WorkflowVersion
from runs.states import (
    ENDED,
    RUN_MOVES,
    STEP_EVENTS,
    Move,
    RunStatus,
    StepStatus,
    step_move_allowed,
)
from subscriptions.addresses import same_origin
from subscriptions.event_types import SignatureScheme
from subscriptions.models import Organization
from subscriptions.secrets import sealed_url
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


@transaction.atomic
def report_run(*, organization: Organization, run_id: str, move: Move, report: Report) -> Run:
    """Move a run. Raises NotFound, InvalidInput, or Conflict naming the state it is in."""
    run = selectors.run_get(organization, run_id, lock=True)
    before = RunStatus(run.status)
    rule = RUN_MOVES[move]
    if move is Move.START and before in STARTED and _is_another_executor(run, report):
        raise Conflict("the run was started by another executor", field="executor_id", code="other_executor")
    if before not in rule.sources or _is_repeat_of_progress(run, move, report):
        if _is_repeat(run, move, report):
            return run
        raise Conflict(f"the run is {run.status}: it cannot {move}", code="impossible_move")
    now = _moment(report, run.created_at, run.started_at)
    _apply(run, move, report, now)
    run.reports[move] = report.fingerprint
    run.updated_at = timezone.now()
    run.save()
    event_type = _event_type(run, before, move)
    if event_type is not None:
        outbox.append(event_of(run, event_type, now, run_data(run)), callback=_callback(run, event_type))
    return run


@transaction.atomic
def report_step(*, organization: Organization, run_id: str, key: str, move: Move, report: Report) -> Step:
    """Move a step of a running run; its start makes it. Raises NotFound, InvalidInput, Conflict."""
    run = selectors.run_get(organization, run_id, lock=True)
    step = run.steps.filter(key=key).first()
    status = None if step is None else StepStatus(step.status)
    if step is not None and step.reports.get(move) == report.fingerprint:
        return step
    if step is None and move is not Move.START:
        raise NotFound(f"Step {key} of run {run_id} has not been started", code="step_not_started")
    if run.status != RunStatus.RUNNING:
        raise Conflict(f"the run is {run.status}: its steps cannot move", code="impossible_move")
    if not step_move_allowed(move, status):
        raise Conflict(f"the step is {status}: it cannot {move}", code="impossible_move")
    now = _moment(report, run.created_at, step.started_at if step else run.started_at)
    if step is None:
        step = Step(run=run, key=key, index=run.steps.count(), started_at=now)
    step.status, event_type = STEP_EVENTS[move]
    if move is not Move.START:
        step.ended_at = now
    for name, value in report.values.items():
        setattr(step, name, value)
    step.reports[move] = report.fingerprint
    step.save()
    outbox.append(event_of(run, event_type, now, step_data(run, step)))
    return step


def _apply(run: Run, move: Move, report: Report, now: datetime) -> None:
    """Put the move's effects on the object."""
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
        _set_output(run, values.get("output"))


def _set_output(run: Run, reported: Any) -> None:
    """The configured outputs, or what the executor reported; an unknown name fails the run (seed 000).

    By the version that the run started with, whatever its workflow has been switched to since.
    """
    configured = outputs_in_force(run.workflow, run.version)
    if not configured:
        run.output = reported
        return
    try:
        run.output = outputs.resolve(configured, RunDetail(run).variables() | {"output": reported})
    except outputs.UnknownVariable as error:
        run.status = RunStatus.FAILED
        run.error = {"message": str(error), "code": "unknown_variable"}


def outputs_in_force(workflow: Workflow, version: WorkflowVersion) -> Mapping[str, str] | None:
    """The configured outputs, if the version's format sends them and not the whole context anyway."""
    sends_all = profiles()[workflow.dialect].whole_context_formats
    return None if version.payload_format in sends_all else version.outputs


def _event_type(run: Run, before: RunStatus, move: Move) -> str | None:
    if move is Move.COMPLETE and run.status == RunStatus.FAILED:
        return RUN_MOVES[Move.FAIL].events[before]
    return RUN_MOVES[move].events.get(before)


def _callback(run: Run, event_type: str) -> Callback | None:
    """The run's own URL, else its workflow's default; told only of the events of its dialect."""
    profile = profiles()[run.workflow.dialect]
    if event_type not in profile.callback_events or (run.parent_id and profile.silent_children):
        return None
    return callback_to(run) if run.has_target else None


def callback_to(run: Run, url: str = "", *, timeout_seconds: float | None = None) -> Callback:
    """The run's webhook settings, aimed at `url` or else at its own target, which stays encrypted."""
    version = run.version
    own = run if run.webhook_url else version
    shown, token = sealed_url(url) if url else (own.webhook_url, own.encrypted_webhook_url)
    headers_for = version.webhook_url or run.webhook_url
    return Callback(
        url=shown,
        encrypted_url=token,
        payload_format=version.payload_format,
        signature_schemes=_schemes(run, shown),
        retry_policy=version.retry_policy,
        retry_schedule=None if version.retry_schedule is None else tuple(version.retry_schedule),
        timeout_seconds=timeout_seconds or version.timeout_seconds,
        workflow_id=run.workflow.public_id,
        api_key_id=run.api_key_id,
        encrypted_secret=run.encrypted_webhook_secret,
        # Credentials for the workflow's receiver are not for whatever URL a caller names.
        encrypted_headers=version.encrypted_headers if same_origin(shown, headers_for) else "",
    )


def _schemes(run: Run, url: str) -> tuple[str, ...]:
    """The version's, and the run's own text in plain, but to nobody else than it was given for."""
    schemes = run.version.signature_schemes
    if not run.encrypted_webhook_secret:
        return tuple(schemes)
    schemes = [s for s in schemes if s not in (SignatureScheme.NONE, SignatureScheme.SHARED_SECRET)]
    if same_origin(url, run.webhook_url or run.version.webhook_url):
        schemes.append(SignatureScheme.SHARED_SECRET)
    return tuple(schemes) or (SignatureScheme.NONE,)


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
