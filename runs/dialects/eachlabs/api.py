"""eachlabs' API: trigger a workflow once or in bulk, look at executions.

Each call exists under the paths of the seed (`/api/v1/…`) and under those of the newer host (`/v1/…`).
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from delivery.formats import seconds_z
from runs import selectors
from runs.creation import NewRun, check_key_signs
from runs.dialects.eachlabs import serializers as shapes
from runs.dialects.eachlabs.base import ERRORS, EachlabsViewSet
from runs.dialects.eachlabs.payloads import run_body, status_of
from runs.dialects.views import as_sent
from runs.models import Run, Workflow
from subscriptions import rules
from subscriptions.api.base import valid
from subscriptions.api.idempotency import idempotent
from subscriptions.api.totals import part
from subscriptions.models import Scope
from webhooks_project.errors import DomainError, InvalidInput, NotFound

IMPORT_FIELDS = ("id", "ids", "bulk_id", "created_at")
BULK_MAX = 10
BULK_SIZE = f"inputs must contain 1–{BULK_MAX} items"


class TriggerViewSet(EachlabsViewSet):
    """New executions."""

    def refuse_import(self, values: dict[str, Any]) -> None:
        """Here everyone may name a `version_id`: it is the one to run."""
        given = [name for name in IMPORT_FIELDS if name in values]
        if given and not self.caller.may(Scope.RUNS_IMPORT):
            raise PermissionDenied(
                f"Setting {given[0]} needs the scope {Scope.RUNS_IMPORT}.", code="missing_scope"
            )

    @extend_schema(request=shapes.EachlabsTriggerInput, responses={202: shapes.EachlabsTriggered} | ERRORS)
    @idempotent
    def trigger(self, request: Request, workflow: str) -> Response:
        """Queue an execution; `webhook_url` gets one POST when it has completed or failed."""
        values = self.read(shapes.EachlabsTriggerInput, request)
        run = self.create_run(self._one(self._version(workflow, values.get("version_id")), values))
        return Response(_triggered(run), status=status.HTTP_202_ACCEPTED)

    @extend_schema(
        request=shapes.EachlabsVersionTriggerInput, responses={202: shapes.EachlabsQueued} | ERRORS
    )
    @idempotent
    def trigger_version(self, request: Request, workflow: str, version: str) -> Response:
        """The same for the version in the address."""
        values = self.read(shapes.EachlabsVersionTriggerInput, request)
        run = self.create_run(self._one(self._version(workflow, version), values))
        answer = {"execution_id": run.public_id, "status": "queued"}
        return Response(answer, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=shapes.EachlabsBulkInput, responses={202: shapes.EachlabsBulk} | ERRORS)
    @idempotent
    def bulk(self, request: Request, workflow: str) -> Response:
        """Queue up to ten executions under one `bulk_id`; each sends its own webhook.

        An item of `inputs` that is refused holds up no other: it is answered as failed in its place.
        """
        values = self._read_bulk(shapes.EachlabsBulkInput, request)
        return self._bulk(self._version(workflow, values.get("version_id")), values)

    @extend_schema(request=shapes.EachlabsVersionBulkInput, responses={202: shapes.EachlabsBulk} | ERRORS)
    @idempotent
    def bulk_version(self, request: Request, workflow: str, version: str) -> Response:
        """The same for the version in the address."""
        values = self._read_bulk(shapes.EachlabsVersionBulkInput, request)
        return self._bulk(self._version(workflow, version), values)

    def _version(self, name: str, version_id: str | None) -> Workflow:
        """The workflow with the version to run, which is its newest one unless another is named."""
        workflow = self.workflow(name)
        assert workflow.version is not None
        if version_id and version_id != workflow.version.public_id:
            version = workflow.versions.filter(public_id=version_id).first()
            if version is None:
                raise NotFound("version not found")
            workflow.version = version
        return workflow

    def _one(self, workflow: Workflow, values: dict[str, Any]) -> NewRun:
        return NewRun(
            workflow=workflow,
            input=values.get("inputs") or {},
            webhook_url=values.get("webhook_url") or "",
            webhook_secret=values.get("webhook_secret") or "",
            id=values.get("id"),
            created_at=values.get("created_at"),
            api_key=self.caller.key,
        )

    def _read_bulk(self, shape: type[Serializer[Any]], request: Request) -> dict[str, Any]:
        inputs = request.data.get("inputs") if isinstance(request.data, dict) else None
        if not isinstance(inputs, list) or not 1 <= len(inputs) <= BULK_MAX:
            raise InvalidInput(BULK_SIZE, field="inputs", code="bad_size")
        values = self.read(shape, request)
        # What is wrong for all of them is refused as a whole.
        if (values.get("webhook_url") or "").strip():
            rules.clean_url(values["webhook_url"], "webhook_url")
        return values

    def _bulk(self, workflow: Workflow, values: dict[str, Any]) -> Response:
        bulk_id = values.get("bulk_id") or uuid4()
        ids = [*values.get("ids", []), *[None] * BULK_MAX]
        common = replace(self._one(workflow, values), bulk_id=bulk_id)
        check_key_signs(common)
        items = [
            self._bulk_item(replace(common, input=given, id=own_id))
            for given, own_id in zip(values["inputs"], ids, strict=False)
        ]
        answer = {"bulk_id": str(bulk_id), "executions": items}
        return Response(answer, status=status.HTTP_202_ACCEPTED)

    def _bulk_item(self, new: NewRun) -> dict[str, str]:
        if not isinstance(new.input, dict):
            return {"status": "failed", "message": "invalid input: not a JSON object"}
        try:
            return _triggered(self.create_run(new))
        except DomainError as error:
            return {"status": "failed", "message": error.detail}


class ExecutionViewSet(EachlabsViewSet):
    """Executions as they stand."""

    @extend_schema(responses={200: shapes.EachlabsExecution} | ERRORS)
    def retrieve(self, request: Request, execution_id: str) -> HttpResponse:
        """The execution; once it has ended, in the same bytes as its webhook."""
        return as_sent(run_body, self.run(execution_id))

    @extend_schema(
        parameters=[shapes.EachlabsExecutionQuery], responses={200: shapes.EachlabsExecutions} | ERRORS
    )
    def list(self, request: Request, workflow: str) -> Response:
        """The workflow's executions, newest first; those of one bulk trigger by `bulk_id`."""
        query = valid(shapes.EachlabsExecutionQuery, request.query_params)
        rows = selectors.runs(self.organization).filter(workflow=self.workflow(workflow))
        bulk_id: UUID | None = query.get("bulk_id")
        if bulk_id is not None:
            rows = rows.filter(bulk_id=bulk_id)
        found, end = part(rows, query["offset"], query["limit"]), query["offset"] + query["limit"]
        answer: dict[str, Any] = {"executions": [_summary(run) for run in found.rows]}
        if end < found.total:
            answer["offset"] = end
        return Response(answer | {"total_count": found.total})


def _triggered(run: Run) -> dict[str, str]:
    return {"execution_id": run.public_id, "status": "queued", "started_at": seconds_z(run.created_at)}


def _summary(run: Run) -> dict[str, Any]:
    moments: dict[str, datetime | None] = {
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "created_at": run.created_at,
        "updated_at": run.updated_at,
    }
    return {
        "execution_id": run.public_id,
        "flow_id": run.workflow.public_id,
        "flow_name": run.workflow.name,
        "version_id": run.version.public_id,
        "status": status_of(run),
    } | {name: seconds_z(moment) for name, moment in moments.items() if moment is not None}
