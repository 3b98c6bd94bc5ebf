"""The page where people see and change the version of a workflow's webhooks (seed 000).

Upgrading is one Save; going back asks for confirmation, for receivers may rely on the newer shape.
"""

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from delivery import formats
from runs import services
from runs.dialects import profiles
from runs.messages import end_of
from runs.models import Run, Workflow
from runs.states import ENDED
from subscriptions.event_types import WORKFLOW_COMPLETED

TEMPLATE = "admin/runs/workflow/webhook_version.html"


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
        **preview(workflow, form.versions),
    }
    return TemplateResponse(request, TEMPLATE, context)


def preview(workflow: Workflow, versions: list[str]) -> dict[str, Any]:
    """What a receiver gets in each version for the latest run that has ended."""
    ended = Run.objects.filter(workflow=workflow, status__in=sorted(ENDED))
    run = ended.select_related("organization", "workflow", "version").order_by("-id").first()
    if run is None:
        return {"run": None, "previews": []}
    message = end_of(
        run, event_id="evt_preview", event_type=WORKFLOW_COMPLETED, occurred_at=run.ended_at or timezone.now()
    )
    return {
        "run": run,
        "previews": [
            (name, json.dumps(json.loads(formats.render(name, message)), indent=2)) for name in versions
        ],
    }
