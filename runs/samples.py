"""Made-up events of each type, the same each time: rendered, they are the OpenAPI document's examples."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from delivery.formats import Message, render
from delivery.webhook_schemas import operational_example
from runs.detail import RunDetail, run_data, step_data
from runs.dialects import profiles
from runs.models import Run, Step, Workflow, WorkflowVersion
from runs.states import RunStatus, StepStatus
from subscriptions import event_types

CUSTOM_TYPE = "order.paid"
CUSTOM_DATA = {"order": "A-1042", "total": {"currency": "EUR", "cents": 4990}}
EVENT_ID = "evt_019c12d3a4b57c8e9f0a1b2c3d4e5f60"
ORGANIZATION_ID = "org_4fQ2mN8sT1xZ7bKd"
BEGAN = datetime(2026, 1, 31, 15, 20, 42, 160725, tzinfo=UTC)
IMAGE = "https://cdn.example.com/portraits/cat.jpeg"
ERROR = {"message": "Model timeout after 30s", "code": "ModelTimeout", "step": "render"}

# The ids of a workflow, its version and a run, in each system's own form.
IDS: Mapping[str, tuple[str, str, str]] = {
    "elan": ("wf_Jt6vXo2LqK9sRb", "wfv_c3HnD8yPz5WgUe", "run_M7kQd2xTfA9bLs4VnE"),
    "leap": ("wkf_RL2LDs8LNO4LI6", "vsp_shsgJaeiT1d8H9", "rnp_OegyoGJxj9lyk4xbtQ"),
    "leaperone": ("wf_Jt6vXo2LqK9sRb", "wfv_c3HnD8yPz5WgUe", "img-abc123"),
    "skyvern": ("wpid_490440779503357990", "w_490440779503357992", "wr_490440779503358000"),
    "eachlabs": (
        "50741f40-8621-4d46-8a91-dff4d873be98",
        "0d9d1e0c-3f0a-4f0e-9b59-4a3b3a1f8a11",
        "69ae8c7b-7500-4a45-b7c0-348b8cc2665b",
    ),
}
_STATUSES: Mapping[str, RunStatus] = {
    event_types.WORKFLOW_QUEUED: RunStatus.QUEUED,
    event_types.WORKFLOW_COMPLETED: RunStatus.COMPLETED,
    event_types.WORKFLOW_FAILED: RunStatus.FAILED,
    event_types.WORKFLOW_CANCELLED: RunStatus.CANCELLED,
}
_STEP_STATUSES: Mapping[str, StepStatus] = {
    event_types.STEP_STARTED: StepStatus.RUNNING,
    event_types.STEP_COMPLETED: StepStatus.COMPLETED,
    event_types.STEP_FAILED: StepStatus.FAILED,
}


def body(event_type: str, payload_format: str) -> bytes:
    """What a receiver would get of such an event in this format."""
    return render(payload_format, _message(event_type, payload_format))


def _message(event_type: str, payload_format: str) -> Message:
    if event_type == CUSTOM_TYPE:
        return _told(event_type, CUSTOM_DATA)
    if event_type.startswith("subscription."):
        return _told(event_type, operational_example(event_type))
    dialect = next(name for name, p in profiles().items() if payload_format in p.payload_formats)
    run = _run(dialect, _STATUSES.get(event_type, RunStatus.RUNNING))
    steps = _steps(run, _STEP_STATUSES.get(event_type))
    data = step_data(run, steps[-1]) if event_type in _STEP_STATUSES else run_data(run)
    return _told(event_type, data, run=run, detail=RunDetail(run, steps))


def _told(
    event_type: str, data: Mapping[str, Any], run: Run | None = None, detail: RunDetail | None = None
) -> Message:
    return Message(
        event_id=EVENT_ID,
        event_type=event_type,
        organization_id=ORGANIZATION_ID,
        source=run.workflow.public_id if run else "",
        subject=run.public_id if run else "",
        occurred_at=BEGAN + timedelta(seconds=10),
        data=data,
        detail=detail,
    )


def _run(dialect: str, status: RunStatus) -> Run:
    workflow_id, version_id, run_id = IDS[dialect]
    workflow = Workflow(public_id=workflow_id, name="Portraits", dialect=dialect, created_at=BEGAN)
    is_queued, is_completed = status == RunStatus.QUEUED, status == RunStatus.COMPLETED
    is_ended = status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)
    return Run(
        public_id=run_id,
        workflow=workflow,
        version=WorkflowVersion(workflow=workflow, public_id=version_id),
        status=status,
        input={"prompt": "portrait of a tuxedo cat"},
        output={"imageUrl": IMAGE} if is_completed else None,
        error=ERROR if status == RunStatus.FAILED else None,
        artifacts=[{"kind": "image", "id": "img-1", "url": IMAGE}] if is_completed else [],
        created_at=BEGAN,
        started_at=None if is_queued else BEGAN + timedelta(seconds=1),
        ended_at=BEGAN + timedelta(seconds=10) if is_ended else None,
    )


def _steps(run: Run, last: StepStatus | None) -> list[Step]:
    """Two of them; the second as the event says, else as the run does."""
    ended = last or {RunStatus.COMPLETED: StepStatus.COMPLETED}.get(RunStatus(run.status), StepStatus.FAILED)
    is_done = ended == StepStatus.COMPLETED
    write = Step(
        run=run,
        key="write",
        index=0,
        status=StepStatus.COMPLETED,
        output="A tuxedo cat, asleep.",
        started_at=BEGAN + timedelta(seconds=1),
        ended_at=BEGAN + timedelta(seconds=3),
    )
    render_ = Step(
        run=run,
        key="render",
        name="Render the portrait",
        index=1,
        status=ended,
        input={"size": "1024x1024"},
        output=[IMAGE] if is_done else None,
        metadata={"model": "flux-1-1-pro"},
        error=ERROR if ended == StepStatus.FAILED else None,
        started_at=BEGAN + timedelta(seconds=3),
        ended_at=None if ended == StepStatus.RUNNING else BEGAN + timedelta(seconds=9),
    )
    return [write, render_]
