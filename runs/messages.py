"""What happened to a run, as the outbox and the payload formats take it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from delivery.formats import Message
from delivery.outbox import NewEvent
from runs.detail import RunDetail, run_data
from runs.models import Run


def event_of(
    run: Run,
    event_type: str,
    occurred_at: datetime,
    data: Mapping[str, Any],
    *,
    detail: RunDetail | None = None,
) -> NewEvent:
    """An event about the run or one of its steps."""
    return NewEvent(
        organization=run.organization,
        event_type=event_type,
        occurred_at=occurred_at,
        data=data,
        source=run.workflow.public_id,
        subject=run.public_id,
        detail=detail or RunDetail(run),
    )


def end_of(run: Run, *, event_id: str, event_type: str, occurred_at: datetime) -> Message:
    """The end of a run, for previews and for webhooks sent again."""
    return Message(
        event_id=event_id,
        event_type=event_type,
        organization_id=run.organization.public_id,
        source=run.workflow.public_id,
        subject=run.public_id,
        occurred_at=occurred_at,
        data=run_data(run),
        detail=RunDetail(run),
    )
