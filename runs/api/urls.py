"""URLs under /v1/."""

from django.urls import path

from runs.api.batch import BatchViewSet
from runs.api.reports import RunReportViewSet, StepReportViewSet
from runs.api.views import RunViewSet, WorkflowViewSet
from runs.states import RUN_MOVES, STEP_EVENTS

urlpatterns = [
    path("workflows", WorkflowViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "workflows/<str:workflow_id>",
        WorkflowViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
    ),
    path("workflows/<str:workflow_id>/rotate-secret", WorkflowViewSet.as_view({"post": "rotate_secret"})),
    path("runs", RunViewSet.as_view({"get": "list", "post": "create"})),
    path("runs/batch", BatchViewSet.as_view({"post": "create"})),
    path("runs/<str:run_id>", RunViewSet.as_view({"get": "retrieve"})),
    path("runs/<str:run_id>/webhooks", RunViewSet.as_view({"get": "webhooks"})),
    *(
        path(f"runs/<str:run_id>/{move}", RunReportViewSet.as_view({"post": move.name.lower()}))
        for move in RUN_MOVES
    ),
    *(
        path(
            f"runs/<str:run_id>/steps/<str:key>/{move}",
            StepReportViewSet.as_view({"post": move.name.lower()}),
        )
        for move in STEP_EVENTS
    ),
]
