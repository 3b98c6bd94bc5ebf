"""URLs under /v1/. Each report is a view of its own, so that OpenAPI shows what it takes."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter
from drf_spectacular.utils import extend_schema, extend_schema_view

from runs.api import serializers as shapes
from runs.api.views import (
    RUN_REPORTS,
    STEP_REPORTS,
    RunReportViewSet,
    RunViewSet,
    StepReportViewSet,
    WorkflowViewSet,
)
from runs.states import Move


class StepKey(StringConverter):
    """What executors call their steps."""

    regex = r"[A-Za-z0-9_.:-]{1,128}"


register_converter(StepKey, "step_key")


def _run_report(move: Move) -> object:
    documented = extend_schema_view(
        report=extend_schema(request=RUN_REPORTS[move], responses=shapes.RunWithSteps)
    )
    name = f"Run{move.name.title()}"
    view: type[RunReportViewSet] = documented(
        type(name, (RunReportViewSet,), {"__doc__": f"Report: {move}."})
    )
    return path(f"runs/<str:run_id>/{move}", view.as_view({"post": "report"}, move=move))


def _step_report(move: Move) -> object:
    documented = extend_schema_view(
        report=extend_schema(request=STEP_REPORTS[move], responses=shapes.StepOutput)
    )
    name = f"Step{move.name.title()}"
    view: type[StepReportViewSet] = documented(
        type(name, (StepReportViewSet,), {"__doc__": f"Report of a step: {move}."})
    )
    return path(f"runs/<str:run_id>/steps/<step_key:key>/{move}", view.as_view({"post": "report"}, move=move))


urlpatterns = [
    path("workflows", WorkflowViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "workflows/<str:workflow_id>",
        WorkflowViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
    ),
    path("workflows/<str:workflow_id>/rotate-secret", WorkflowViewSet.as_view({"post": "rotate_secret"})),
    path("runs", RunViewSet.as_view({"get": "list", "post": "create"})),
    path("runs/<str:run_id>", RunViewSet.as_view({"get": "retrieve"})),
    path("runs/<str:run_id>/webhooks", RunViewSet.as_view({"get": "webhooks"})),
    *(_run_report(move) for move in RUN_REPORTS),
    *(_step_report(move) for move in STEP_REPORTS),
]
