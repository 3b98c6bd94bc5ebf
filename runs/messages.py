"""The end of a run as a message, for previews and for webhooks sent again."""

from datetime import datetime

from delivery.formats import Message
from runs.detail import RunDetail, run_data
from runs.models import Run


def end_of(run: Run, *, event_id: str, event_type: str, occurred_at: datetime) -> Message:
    """What the payload formats render."""
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
