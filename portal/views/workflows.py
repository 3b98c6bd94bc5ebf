"""The webhook version of each workflow that has versions (seed 000): seen, previewed, upgraded."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse

from portal.access import Visitor
from portal.pages import FORM, NotAllowed, done, page, shown
from runs import selectors, services
from runs.dialects import profiles
from runs.webhook_version import VersionForm, has_versions, preview
from subscriptions.models import Scope
from webhooks_project.errors import NotFound

PER_PAGE = 50


@page(Scope.RUNS_READ)
def listing(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    latest = {profile.name: profile.versions[-1] for profile in profiles().values() if profile.versions}
    workflows = selectors.workflows(visitor.organization).filter(dialect__in=sorted(latest))
    found = Paginator(workflows, PER_PAGE).get_page(request.GET.get("page"))
    rows = [
        (workflow, workflow.version and workflow.version.payload_format == latest[workflow.dialect])
        for workflow in found
    ]
    return shown(request, visitor, "workflows", found=found, rows=rows)


@page(Scope.RUNS_READ, methods=FORM)
def version(request: HttpRequest, visitor: Visitor, workflow_id: str) -> HttpResponse:
    """Upgrading is one Save; going back is asked for once more, for receivers may rely on the newer shape."""
    workflow = selectors.workflow_get(visitor.organization, workflow_id)
    if not has_versions(workflow):
        raise NotFound
    may_change = visitor.may(Scope.RUNS_WRITE)
    if request.method == "POST" and not may_change:
        raise NotAllowed
    form, asks = VersionForm(workflow, request.POST or None), False
    if request.method == "POST" and form.is_valid():
        asks = form.needs_confirmation
        if not asks:
            values = {
                "payload_format": form.cleaned_data["payload_format"],
                "allow_downgrade": form.cleaned_data["confirmed"],
            }
            services.workflow_update(
                organization=visitor.organization, workflow_id=workflow_id, values=values
            )
            return done(visitor, "workflow", "upgraded", workflow_id)
    context = preview(workflow, form.versions)
    return shown(
        request,
        visitor,
        "workflow",
        workflow=workflow,
        form=form,
        asks=asks,
        may_change=may_change,
        **context,
    )
