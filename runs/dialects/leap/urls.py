"""URLs under /leap/."""

from django.urls import path

from runs.dialects.leap.api import RunViewSet

urlpatterns = [
    path("v1/runs", RunViewSet.as_view({"post": "create"})),
    path("v1/runs/<str:run_id>", RunViewSet.as_view({"get": "retrieve"})),
]
