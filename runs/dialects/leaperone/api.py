"""LEAPERone's API: generate images, look at the task."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.creation import NewRun
from runs.dialects.leaperone.errors import TaskExpired, envelope
from runs.dialects.leaperone.payloads import run_body
from runs.dialects.leaperone.profile import PROFILE
from runs.dialects.leaperone.serializers import (
    CALLBACK_FIELDS,
    LeaperoneAccepted,
    LeaperoneError,
    LeaperoneGenerationInput,
    LeaperoneTask,
)
from runs.dialects.views import DialectViewSet, as_sent
from runs.services import workflow_for
from subscriptions.api.idempotency import idempotent

READABLE_FOR = timedelta(days=30)
# Fields of the body that are for this service and not for the executor.
OURS = (*CALLBACK_FIELDS, "id", "created_at")
ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 429, 503), LeaperoneError)


class ImageGenerationViewSet(DialectViewSet):
    """Image generations: the same object that the callback carries."""

    dialect = PROFILE.name
    invalid_status = 400

    def error_envelope(self, status_code: int, body: Mapping[str, Any]) -> dict[str, Any]:
        return envelope(status_code, body)

    @extend_schema(request=LeaperoneGenerationInput, responses={200: LeaperoneAccepted} | ERRORS)
    @idempotent
    def create(self, request: Request) -> Response:
        """Queue a task; `callbackUrl` gets one POST when it has completed or failed."""
        values = self.read(LeaperoneGenerationInput, request)
        assert isinstance(request.data, dict)
        model = values["model"]
        url_field = next((name for name in CALLBACK_FIELDS if values.get(name)), CALLBACK_FIELDS[0])
        # One transaction: a refused task leaves no workflow behind.
        with transaction.atomic():
            new = NewRun(
                workflow=workflow_for(
                    organization=self.organization, dialect=PROFILE.name, slug=model, name=model
                ),
                input={name: value for name, value in request.data.items() if name not in OURS},
                webhook_url=values.get(url_field) or "",
                webhook_url_field=url_field,
                id=values.get("id"),
                created_at=values.get("created_at"),
                api_key=self.caller.key,
            )
            run = self.create_run(new)
        return Response({"id": run.public_id, "status": "pending"})

    @extend_schema(responses={200: LeaperoneTask, 410: LeaperoneError} | ERRORS)
    def retrieve(self, request: Request, task_id: str) -> HttpResponse:
        """The task, for 30 days, whatever became of its callback.

        The URLs of `images` are temporary: they may expire one hour after the task completed, so
        fetch the images promptly. An ended task is answered in the same bytes as its callback.
        """
        run = self.run(task_id)
        if run.created_at < timezone.now() - READABLE_FOR:
            raise TaskExpired
        return as_sent(run_body, run)
