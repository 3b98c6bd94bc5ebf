"""The page where people see and change the version of a workflow's webhooks (seed 000).

Upgrading is one Save; going back asks for confirmation, for receivers may rely on the newer shape.
"""

import json
from copy import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from delivery import formats
from delivery.admin import shown
from delivery.admin.bodies import may_see_bodies
from runs import outputs, services
from runs.detail import RunDetail
from runs.dialects import profiles
from runs.messages import end_of
from runs.models import Run, Workflow
from runs.moves import outputs_in_force
from runs.states import ENDED, RunStatus
from subscriptions.event_types import WORKFLOW_COMPLETED

TEMPLATE = "admin/runs/workflow/webhook_version.html"
OUTPUT_NOT_KEPT = (
    "The outputs were changed after this run, and what its executor reported is not kept: its outputs are "
    "shown as they were then."
)


class VersionForm(forms.Form):
    """The choice, and the confirmation of a step back."""

    payload_format = forms.ChoiceField(label="Webhook version")
    confirmed = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, workflow: Workflow, data: Any = None) -> None:
        assert workflow.version is not None
        super().__init__(data, initial={"payload_format": workflow.version.payload_format})
        self.versions = list(profiles()[workflow.dialect].versions)
        self.current = workflow.version.payload_format
        latest = self.versions[-1]
        labels = [(name, f"{name} (latest)" if name == latest else name) for name in self.versions]
        self.fields["payload_format"].choices = labels  # type: ignore[attr-defined]

    @property
    def needs_confirmation(self) -> bool:
        """Is the chosen version older than the current one, and nobody has said yes yet?"""
        chosen = self.versions.index(self.cleaned_data["payload_format"])
        return chosen < self.versions.index(self.current) and not self.cleaned_data["confirmed"]


def has_versions(workflow: Workflow) -> bool:
    return bool(profiles()[workflow.dialect].versions)


def page(request: HttpRequest, model_admin: "admin.ModelAdmin[Workflow]", pk: int) -> HttpResponse:
    """See, preview, and save the version."""
    rows = Workflow.objects.select_related("organization", "version")
    workflow = get_object_or_404(rows, pk=pk)
    if not model_admin.has_view_permission(request, workflow) or not has_versions(workflow):
        raise PermissionDenied
    may_change = model_admin.has_change_permission(request, workflow)
    form = VersionForm(workflow, request.POST or None)
    asks = False
    if request.method == "POST" and may_change and form.is_valid():
        asks = form.needs_confirmation
        if not asks:
            chosen = form.cleaned_data["payload_format"]
            services.workflow_update(
                organization=workflow.organization,
                workflow_id=workflow.public_id,
                values={"payload_format": chosen, "allow_downgrade": form.cleaned_data["confirmed"]},
            )
            messages.success(request, f"New runs send {chosen}. Runs under way keep their version.")
            return redirect(request.path)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Webhook version",
        "opts": model_admin.opts,
        "workflow": workflow,
        "form": form,
        "asks": asks,
        "may_change": may_change,
        "may_see_bodies": may_see_bodies(request),
        **(preview(workflow, form.versions) if may_see_bodies(request) else {}),
    }
    return TemplateResponse(request, TEMPLATE, context)


def preview(workflow: Workflow, versions: list[str]) -> dict[str, Any]:
    """What a receiver gets in each version for the latest run that has ended."""
    ended = Run.objects.filter(workflow=workflow, status__in=sorted(ENDED))
    run = ended.select_related("organization", "workflow", "version").order_by("-id").first()
    if run is None:
        return {"run": None, "previews": []}
    note = ""
    try:
        today = as_if_ended_now(run, workflow)
    except ExecutorsOutputNotKept:
        today, note = run, OUTPUT_NOT_KEPT
    sends_all = profiles()[workflow.dialect].whole_context_formats
    return {
        "run": run,
        "note": note,
        "previews": [(name, _laid_out(name, run if name in sends_all else today)) for name in versions],
    }


class ExecutorsOutputNotKept(Exception):
    """The run keeps its configured outputs only, and those of now need what its executor reported."""


def as_if_ended_now(run: Run, workflow: Workflow) -> Run:
    """The run with the outputs that are configured now, which is what the next one will send; not stored.

    Raises ExecutorsOutputNotKept.
    """
    assert workflow.version is not None
    configured, before = workflow.version.outputs or {}, outputs_in_force(workflow, run.version) or {}
    if run.status != RunStatus.COMPLETED or list(configured.items()) == list(before.items()):
        return run
    if not configured:
        raise ExecutorsOutputNotKept
    now = copy(run)
    variables = RunDetail(run).variables() | ({} if before else {"output": run.output})
    try:
        now.output = outputs.resolve(configured, variables)
    except outputs.UnknownVariable as error:
        if before and error.path.split(".")[0] == "output":
            raise ExecutorsOutputNotKept from None
        now.status, now.output, now.error = RunStatus.FAILED, None, {"message": str(error)}
    return now


def _laid_out(name: str, run: Run) -> str:
    ended_at = run.ended_at or timezone.now()
    message = end_of(run, event_id="evt_preview", event_type=WORKFLOW_COMPLETED, occurred_at=ended_at)
    return shown.pretty(json.loads(formats.render(name, message)))
