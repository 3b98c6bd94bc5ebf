"""Runs and steps as the API shows them: what the serializers would make of them, without their cost.

A serializer copies its fields and asks each of them; of a run with its steps that takes a millisecond.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from runs.models import Run, Step
from subscriptions.masks import shown_url
from subscriptions.secrets import UndecryptableSecret


def run_shown(run: Run, steps: Sequence[Step], *, full_urls: bool) -> dict[str, Any]:
    """RunWithSteps; `steps` in the order of their starts."""
    return {
        "id": run.public_id,
        "external_id": run.external_id,
        "workflow_id": run.workflow.public_id,
        "version_id": run.version.public_id,
        "kind": run.kind,
        "status": str(run.status),
        "progress": run.progress,
        "executor_id": run.executor_id,
        "webhook_url": _url(run, full_urls),
        "input": run.input,
        "request": run.request,
        "output": run.output,
        "error": run.error,
        "artifacts": run.artifacts,
        "created_at": _moment(run.created_at),
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
        "updated_at": _moment(run.updated_at),
        "steps": [step_shown(step) for step in steps],
    }


def step_shown(step: Step) -> dict[str, Any]:
    """StepOutput."""
    return {
        "key": step.key,
        "name": step.name,
        "index": step.index,
        "status": str(step.status),
        "input": step.input,
        "output": step.output,
        "primary": step.primary,
        "metadata": step.metadata,
        "artifacts": step.artifacts,
        "error": step.error,
        "started_at": _moment(step.started_at),
        "ended_at": _moment(step.ended_at),
    }


def _url(run: Run, full_urls: bool) -> str:
    if full_urls:
        with suppress(UndecryptableSecret):  # its key is missing: the rest can be read
            return run.full_webhook_url
        return run.webhook_url
    return shown_url(run.webhook_url)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
