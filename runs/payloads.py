"""Registers the source systems' payload formats, and the made-up run that test deliveries tell of."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from delivery import formats
from runs.detail import RunDetail, run_data
from runs.dialects import profiles
from runs.dialects.eachlabs import payloads as eachlabs
from runs.dialects.elan import payloads as elan
from runs.dialects.leap import payloads as leap
from runs.dialects.leaperone import payloads as leaperone
from runs.dialects.skyvern import payloads as skyvern
from runs.models import Run, Workflow, WorkflowVersion
from runs.states import RunStatus


def register_all() -> None:
    for module in (elan, leap, leaperone, skyvern, eachlabs):
        for payload_format, renderer in module.FORMATS.items():
            formats.register(payload_format, renderer)
    formats.register_example(example)


def example(source: str) -> tuple[Mapping[str, Any], RunDetail]:
    """A completed run of the workflow `source` that never was; nothing of it is stored."""
    profile = profiles()["elan"]
    now = timezone.now()
    workflow = Workflow(public_id=source, name="Test", dialect=profile.name, created_at=now)
    run = Run(
        public_id=profile.run_ids.new(),
        workflow=workflow,
        version=WorkflowVersion(workflow=workflow, public_id=profile.version_ids.new()),
        status=RunStatus.COMPLETED,
        input={"prompt": "This is a test"},
        output={"message": "This is a test of your webhook"},
        created_at=now - timedelta(seconds=2),
        started_at=now - timedelta(seconds=1),
        ended_at=now,
    )
    return run_data(run), RunDetail(run, steps=())
