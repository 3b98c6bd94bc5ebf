"""URLs under /skyvern/, each also with a slash at its end, as Skyvern takes them."""

from collections.abc import Iterator

from django.urls import URLPattern, path

from runs.dialects.skyvern.api import SkyvernRunViewSet

ROUTES = {
    "v1/run/tasks": ("post", "run_task"),
    "v1/run/agents": ("post", "run_workflow"),
    "v1/run/workflows": ("post", "run_workflow"),
    "v1/runs/<str:run_id>": ("get", "retrieve"),
    "v1/runs/<str:run_id>/cancel": ("post", "cancel"),
    "v1/runs/<str:run_id>/retry_webhook": ("post", "retry_webhook"),
}


def _patterns() -> Iterator[URLPattern]:
    for route, (method, action) in ROUTES.items():
        yield path(route, SkyvernRunViewSet.as_view({method: action}))
        # Not in the OpenAPI document: it is the same operation.
        yield path(f"{route}/", SkyvernRunViewSet.as_view({method: action}, schema=None))


urlpatterns = list(_patterns())
