"""What all of eachlabs' endpoints share: their errors."""

from collections.abc import Mapping
from typing import Any

from runs.dialects.eachlabs.profile import PROFILE
from runs.dialects.eachlabs.serializers import EachlabsError
from runs.dialects.views import DialectViewSet
from runs.models import Run, Workflow
from webhooks_project.errors import NotFound

ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 429, 503), EachlabsError)


def envelope(status_code: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """The common shape of errors as eachlabs' callers read it."""
    return {"error": body["detail"]}


class EachlabsViewSet(DialectViewSet):
    """Answers errors as `{"error": "…"}`, with 400 where this service says 422."""

    dialect = PROFILE.name
    invalid_status = 400

    def error_envelope(self, status_code: int, body: Mapping[str, Any]) -> dict[str, Any]:
        return envelope(status_code, body)

    def workflow(self, name: str) -> Workflow:
        try:
            return super().workflow(name)
        except NotFound:
            raise NotFound("workflow not found") from None

    def run(self, run_id: str) -> Run:
        try:
            return super().run(run_id)
        except NotFound:
            raise NotFound("execution not found") from None
