"""Leap's run object (seed 000): ten keys, always all of them. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from delivery.formats import Message, compact_json
from runs.states import FAILED_IN_SOME_WAY, RunStatus
from subscriptions.event_types import PayloadFormat

if TYPE_CHECKING:
    from runs.detail import RunDetail

# Leap knows completed, running, failed, queued and cancelled.
STATUSES: Mapping[str, str] = {
    RunStatus.PAUSED: RunStatus.RUNNING.value,
    **dict.fromkeys(FAILED_IN_SOME_WAY, RunStatus.FAILED.value),
}


def leap_v1(message: Message) -> bytes:
    """`output` is the whole workflow context: the full output of every step, in order."""
    return _v1(message.detail)


def leap_v2(message: Message) -> bytes:
    """`output` is what the workflow's author configured."""
    return _v2(message.detail)


def _v1(detail: "RunDetail") -> bytes:
    return compact_json(run_object(detail, detail.context() if detail.steps else detail.run.output))


def _v2(detail: "RunDetail") -> bytes:
    return compact_json(run_object(detail, detail.run.output))


def run_body(detail: "RunDetail") -> bytes:
    """What the run's own callback sends: by the schema version of the workflow's version that it runs."""
    if detail.run.version.payload_format == PayloadFormat.LEAP_V1:
        return _v1(detail)
    return _v2(detail)


def run_object(detail: "RunDetail", output: Any) -> dict[str, Any]:
    """The run as Leap shows it. A failed run has no `ended_at`: the seed's only example says so."""
    run = detail.run
    failed = run.status in FAILED_IN_SOME_WAY
    return {
        "id": run.public_id,
        "version_id": run.version.public_id,
        "status": STATUSES.get(run.status, str(run.status)),
        "created_at": microseconds(run.created_at),
        "started_at": microseconds(run.started_at),
        "ended_at": None if failed else microseconds(run.ended_at),
        "workflow_id": run.workflow.public_id,
        "error": run.error["message"] if run.error else None,
        "input": run.input,
        "output": output if run.status == RunStatus.COMPLETED else None,
    }


def microseconds(moment: datetime | None) -> str | None:
    """`2023-12-30T19:35:10.428941+00:00`: six fractional digits, explicit offset."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


FORMATS = {PayloadFormat.LEAP_V1: leap_v1, PayloadFormat.LEAP_V2: leap_v2}
