"""Workflows, runs and steps as their executors reported them; only a workflow's name can be changed."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html

from delivery.admin import shown, subjects
from delivery.admin.bodies import BodiesAdmin
from runs import services, webhook_version
from runs.models import Run, Step, Workflow, WorkflowVersion
from runs.timeline import status_badge, timeline
from subscriptions.admin.base import ReadOnlyAdmin
from subscriptions.admin.filters import InputFilter, OrganizationFilter
from subscriptions.admin.service_forms import ServiceAdmin, ServiceForm

REFRESH_SECONDS = 5


def page_of_run(organization_id: int, subject: str) -> str | None:
    """The page of what an event is about."""
    found = Run.objects.filter(organization=organization_id, public_id=subject)
    key = found.values_list("pk", flat=True).first()
    return None if key is None else reverse("admin:runs_run_change", args=[key])


subjects.register(page_of_run)


class WorkflowFilter(InputFilter):
    title = "workflow (its exact id)"
    parameter_name = "workflow"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        if not typed:
            return queryset
        named = Workflow.objects.filter(public_id=typed).values_list("pk", flat=True)
        # Looked up first, so that the big table's query has a plain id to use its index with.
        return queryset.filter(workflow__in=list(named))


class WorkflowForm(ServiceForm):
    class Meta:
        model = Workflow
        fields = ("name",)

    def carry_out(self) -> Workflow:
        return services.workflow_update(
            organization=self.instance.organization,
            workflow_id=self.instance.public_id,
            values={"name": self.cleaned_data["name"]},
        )


@admin.register(Workflow)
class WorkflowAdmin(ServiceAdmin):
    form = WorkflowForm
    list_display = ("public_id", "name", "organization", "dialect", "version", "created_at")
    list_select_related = ("organization", "version")
    list_filter = ("dialect", OrganizationFilter)
    search_fields = ("public_id", "name__istartswith")
    search_help_text = "Exact id, or the beginning of the name."
    ordering = ("-id",)
    fields = (
        "name",
        "public_id",
        "slug",
        "organization",
        "dialect",
        "version",
        "webhook_version",
        "versions",
        "created_at",
        "updated_at",
    )
    readonly_fields = fields[1:]
    audited_as = "public_id"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Workflow], search_term: str
    ) -> tuple[QuerySet[Workflow], bool]:
        term = search_term.strip()
        found = Q(public_id=term) | Q(name__istartswith=term)
        return (queryset.filter(found) if term else queryset), False

    def get_urls(self) -> list[Any]:
        own = path(
            "<int:pk>/webhook-version/",
            self.admin_site.admin_view(lambda request, pk: webhook_version.page(request, self, pk)),
            name="runs_workflow_webhook_version",
        )
        return [own, *super().get_urls()]

    @admin.display(description="webhook version")
    def webhook_version(self, workflow: Workflow) -> str:
        if workflow.version is None or not webhook_version.has_versions(workflow):
            return "-"
        url = reverse("admin:runs_workflow_webhook_version", args=[workflow.pk])
        return format_html('{} · <a href="{}">see and change</a>', workflow.version.payload_format, url)

    @admin.display(description="all versions")
    def versions(self, workflow: Workflow) -> str:
        return _list_link("runs_workflowversion", "workflow", workflow.public_id)


@admin.register(WorkflowVersion)
class WorkflowVersionAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "workflow", "payload_format", "webhook_url", "retry_policy", "created_at")
    list_select_related = ("workflow",)
    list_filter = (WorkflowFilter, "payload_format")
    search_fields = ("=public_id",)
    search_help_text = "Exact id."
    ordering = ("-id",)
    fields = (
        *("public_id", "workflow", "shown_outputs", "webhook_url", "payload_format", "signature_schemes"),
        *("retry_policy", "retry_schedule", "timeout_seconds", "header_names", "created_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowVersion]:
        return super().get_queryset(request).defer("encrypted_headers", "encrypted_webhook_url")

    @admin.display(description="outputs")
    def shown_outputs(self, version: WorkflowVersion) -> str:
        return _json(version.outputs)


class ReportedAdmin(BodiesAdmin):
    """What runs and steps have in common: JSON of the executor, read only where it is shown."""

    bodies = frozenset(
        f"shown_{name}"
        for name in ("request", "input", "output", "error", "artifacts", "primary", "metadata")
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("input", "output", "error", "artifacts", "reports")

    @admin.display(description="input")
    def shown_input(self, reported: Run | Step) -> str:
        return _json(reported.input)

    @admin.display(description="output")
    def shown_output(self, reported: Run | Step) -> str:
        return _json(reported.output)

    @admin.display(description="error")
    def shown_error(self, reported: Run | Step) -> str:
        return _json(reported.error)

    @admin.display(description="artifacts")
    def shown_artifacts(self, reported: Run | Step) -> str:
        return _json(reported.artifacts)


@admin.register(Run)
class RunAdmin(ReportedAdmin):
    list_display = ("public_id", "status", "workflow", "organization", "progress", "created_at", "ended_at")
    list_select_related = ("workflow", "organization")
    list_filter = ("status", OrganizationFilter, WorkflowFilter)
    search_fields = ("public_id",)
    search_help_text = "Exact id, or the caller's own id."
    ordering = ("-id",)
    fields = (
        *("public_id", "external_id", "status", "progress", "organization", "workflow", "version"),
        *("executor_id", "webhook_url", "created_at", "started_at", "ended_at", "updated_at"),
        *("kind", "parent", "bulk_id", "api_key", "steps", "deliveries"),
        *("shown_request", "shown_input", "shown_output", "shown_error", "shown_artifacts"),
    )
    change_form_template = "admin/runs/run/change_form.html"

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("delivery/story.css",)}
        js = ("delivery/story.js",)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        names = self.get_fields(request, obj)
        bodies = [name for name in names if name in (*self.bodies, "not_shown")]
        return [
            (None, {"fields": [name for name in names if name not in bodies]}),
            ("What it took and gave", {"fields": bodies, "classes": ("collapse",)}),
        ]

    def page_context(self, request: HttpRequest, run: Run) -> dict[str, Any]:
        return {
            "badge": status_badge(run.status),
            "timeline": timeline(run),
            "refresh_seconds": REFRESH_SECONDS if run.ended_at is None else None,
        }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows = super().get_queryset(request)
        return rows.defer("request", "encrypted_webhook_secret", "encrypted_webhook_url")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Run], search_term: str
    ) -> tuple[QuerySet[Run], bool]:
        term = search_term.strip()
        found = Q(public_id=term) | Q(external_id=term)
        return (queryset.filter(found) if term else queryset), False

    @admin.display(description="request")
    def shown_request(self, run: Run) -> str:
        return _json(run.request)

    @admin.display(description="steps")
    def steps(self, run: Run) -> str:
        return _list_link("runs_step", "run__id__exact", run.pk)

    @admin.display(description="deliveries")
    def deliveries(self, run: Run) -> str:
        return _list_link("delivery_delivery", "q", run.public_id)


@admin.register(Step)
class StepAdmin(ReportedAdmin):
    list_display = ("key", "name", "run", "index", "status", "started_at", "ended_at")
    list_select_related = ("run",)
    list_filter = ("status",)
    search_fields = ("run",)
    search_help_text = "Exact id of a run."
    linked_by = frozenset({"run__id__exact"})
    ordering = ("-id",)
    fields = (
        *("key", "name", "run", "index", "status", "started_at", "ended_at", "shown_input", "shown_output"),
        *("shown_primary", "shown_metadata", "shown_error", "shown_artifacts"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        return super().get_queryset(request).defer("primary", "metadata")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Step], search_term: str
    ) -> tuple[QuerySet[Step], bool]:
        term = search_term.strip()
        return (queryset.filter(run__public_id=term) if term else queryset), False

    @admin.display(description="primary")
    def shown_primary(self, step: Step) -> str:
        return _json(step.primary)

    @admin.display(description="metadata")
    def shown_metadata(self, step: Step) -> str:
        return _json(step.metadata)


def _json(value: Any) -> str:
    return "-" if value is None else shown.preformatted(shown.pretty(value))


def _list_link(model: str, parameter: str, value: object) -> str:
    url = reverse(f"admin:{model}_changelist", query={parameter: value})
    return format_html('<a href="{}">Show them</a>', url)
