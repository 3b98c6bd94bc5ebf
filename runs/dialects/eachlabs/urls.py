"""URLs under /eachlabs/: the seed's, then those of the host that follows it."""

from django.urls import path, re_path

from runs.dialects.eachlabs.api import ExecutionViewSet, TriggerViewSet
from runs.dialects.eachlabs.base import envelope
from runs.dialects.eachlabs.logs import WebhookLogViewSet
from runs.dialects.views import UnknownAddress

urlpatterns = [
    path("api/v1/<str:workflow>/trigger", TriggerViewSet.as_view({"post": "trigger"})),
    path("api/v1/<str:workflow>/bulk-trigger", TriggerViewSet.as_view({"post": "bulk"})),
    path("api/v1/executions/<str:execution_id>", ExecutionViewSet.as_view({"get": "retrieve"})),
    path("api/v1/workflows/<str:workflow>/executions", ExecutionViewSet.as_view({"get": "list"})),
    path(
        "v1/workflows/trigger/<str:workflow>/<str:version>",
        TriggerViewSet.as_view({"post": "trigger_version"}),
    ),
    path(
        "v1/workflows/bulk-trigger/<str:workflow>/<str:version>",
        TriggerViewSet.as_view({"post": "bulk_version"}),
    ),
    path("v1/workflows/executions/<str:execution_id>", ExecutionViewSet.as_view({"get": "retrieve"})),
    path("v1/workflows/<str:workflow>/executions", ExecutionViewSet.as_view({"get": "list"})),
    path("v1/webhooks", WebhookLogViewSet.as_view({"get": "list"})),
    path("v1/webhooks/<str:execution_id>", WebhookLogViewSet.as_view({"get": "retrieve"})),
    re_path("", UnknownAddress.as_view(error_envelope=envelope)),
]
