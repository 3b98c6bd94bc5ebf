"""eachlabs' execution object (seed 004): keys that do not apply are omitted. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from delivery.formats import Message, compact_json, seconds_z
from runs.states import FAILED_IN_SOME_WAY, RunStatus, StepStatus
from subscriptions.event_types import PayloadFormat

if TYPE_CHECKING:
    from runs.detail import RunDetail
    from runs.models import Run, Step

# The public API description has `completed_at` after `started_at`; the seed's examples do not.
SENDS_COMPLETED_AT: bool = False
ERROR_CLASS = "ExecutionFailed"
# For ends that came without a reason.
ENDINGS: Mapping[str, str] = {
    RunStatus.TERMINATED: "Execution was terminated",
    RunStatus.TIMED_OUT: "Execution timed out",
}


def eachlabs_execution(message: Message) -> bytes:
    """The ended execution."""
    return run_body(message.detail)


def run_body(detail: "RunDetail") -> bytes:
    return compact_json(execution_object(detail))


def execution_object(detail: "RunDetail") -> dict[str, Any]:
    """The execution as eachlabs shows it: outputs once it has completed, the error once it has failed."""
    run = detail.run
    execution: dict[str, Any] = {"execution_id": run.public_id, "workflow_id": run.workflow.public_id}
    if run.bulk_id is not None:
        execution["bulk_id"] = str(run.bulk_id)
    execution["status"] = status_of(run)
    # An execution counts from its trigger until an executor has taken it up.
    execution["started_at"] = seconds_z(run.started_at or run.created_at)
    if SENDS_COMPLETED_AT and run.ended_at is not None:
        execution["completed_at"] = seconds_z(run.ended_at)
    execution["inputs"] = {} if run.input is None else run.input
    if run.status == RunStatus.COMPLETED:
        execution["step_outputs"] = {step.key: step_output(step) for step in detail.steps}
        execution["output"] = output_of(detail)
    elif run.status in FAILED_IN_SOME_WAY:
        execution |= failure(detail)
    return execution


def status_of(run: "Run") -> str:
    if run.status in FAILED_IN_SOME_WAY:
        return RunStatus.FAILED.value
    return RunStatus.RUNNING.value if run.status == RunStatus.PAUSED else str(run.status)


def step_output(step: "Step") -> dict[str, Any]:
    """One entry of `step_outputs`; `primary` is left out where there is nothing to choose."""
    entry = {"step_id": step.key, "status": str(step.status), "output": step.output}
    primary = primary_of(step)
    if primary is not None:
        entry["primary"] = primary
    return entry | {"metadata": step.metadata or {}}


def primary_of(step: "Step") -> Any:
    """What the executor named, else the output's text itself or the first item of its list."""
    if step.primary is not None:
        return step.primary
    if isinstance(step.output, list) and step.output:
        return step.output[0]
    return step.output if isinstance(step.output, str) else None


def output_of(detail: "RunDetail") -> Any:
    """What the executor reported, else the output (or primary) of the step that completed last."""
    if detail.run.output is not None:
        return detail.run.output
    done = [step for step in detail.steps if step.status == StepStatus.COMPLETED and step.ended_at]
    if not done:
        return None
    last = max(done, key=lambda step: (step.ended_at, step.index))
    return last.primary if last.output is None else last.output


def failure(detail: "RunDetail") -> dict[str, str]:
    """`error` is a class name; `error_cause` a sentence that names the step, left out if nothing is known."""
    error = detail.run.error
    if not error:
        cause = ENDINGS.get(detail.run.status)
        return {"error": ERROR_CLASS} | ({"error_cause": cause} if cause else {})
    return {"error": error.get("code") or ERROR_CLASS, "error_cause": _cause(detail, error)}


def _cause(detail: "RunDetail", error: Mapping[str, str]) -> str:
    """`Step 'generate_image' failed: …`, of the step that the error names or the last one if it failed."""
    if error.get("cause"):
        return error["cause"]
    step = error.get("step")
    if step is None and detail.steps and detail.steps[-1].status == StepStatus.FAILED:
        step = detail.steps[-1].key
    if step is None or error["message"].startswith(f"Step '{step}'"):
        return error["message"]
    return f"Step '{step}' failed: {error['message']}"


FORMATS = {PayloadFormat.EACHLABS_EXECUTION: eachlabs_execution}
