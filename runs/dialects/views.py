"""What the APIs of all dialects share: parse, call the same services, render."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from runs.api.views import RunsScopesViewSet
from runs.creation import NewRun, run_create
from runs.detail import RunDetail
from runs.models import Run, Workflow
from runs.selectors import run_of_dialect, workflow_named
from subscriptions.api.base import valid
from webhooks_project.errors import NotFound


class DialectViewSet(RunsScopesViewSet):
    """Callers of one source system; only its own runs and workflows exist for them."""

    dialect: ClassVar[str]
    #: what this system answers where this service says 422
    invalid_status: ClassVar[int] = 422

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if response.status_code == 422:
            response.status_code = self.invalid_status
        return response

    def read(self, shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
        """The body's values; imported fields only with the scope for it."""
        values = valid(shape, request.data)
        self.refuse_import(values)
        return values

    def workflow(self, name: str) -> Workflow:
        return workflow_named(self.organization, name, dialect=self.dialect)

    def run(self, run_id: str) -> Run:
        return run_of_dialect(self.organization, run_id, dialect=self.dialect)

    def create_run(self, new: NewRun) -> Run:
        run, _ = run_create(organization=self.organization, new=new)
        return run


class UnknownAddress(APIView):
    """Last in a dialect's URLs: what no view has is missing in that system's words as well."""

    authentication_classes = ()
    permission_classes = ()
    schema = None
    error_envelope: Callable[[int, Mapping[str, Any]], dict[str, Any]] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound(f"There is nothing at {request.path}.")


def as_sent(render: Callable[[RunDetail], bytes], run: Run, status: int = 200) -> HttpResponse:
    """The run in exactly the bytes that its webhook has or would have."""
    return HttpResponse(render(RunDetail(run)), status=status, content_type="application/json")
