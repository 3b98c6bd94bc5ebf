"""Skyvern's API: run a task or a workflow, look at the run, cancel it, send its webhook again."""

from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivery.selectors import delivery_get
from runs import creation, selectors, services
from runs.creation import NewRun
from runs.dialects.profile import IdForm
from runs.dialects.skyvern import serializers as shapes
from runs.dialects.skyvern.errors import AlreadyTerminal, NoSigningKey
from runs.dialects.skyvern.payloads import WORKFLOW_RUN, run_with_request, status_of, without_credentials
from runs.dialects.skyvern.profile import PROFILE, TASK_IDS, TASK_V2_IDS, WORKFLOW_RUN_IDS
from runs.dialects.skyvern.replay import retry_webhook
from runs.dialects.skyvern.targets import clean_target
from runs.dialects.views import DialectViewSet, as_sent
from runs.models import Run, Workflow
from runs.moves import Report
from runs.states import Move
from runs.transitions import report_run
from subscriptions.api.base import valid
from subscriptions.api.idempotency import idempotent, made_once, takes_idempotency_key
from subscriptions.models import Scope
from subscriptions.secrets import UndecryptableSecret
from webhooks_project.errors import Conflict

TASKS_SLUG = "skyvern-tasks"
OURS = ("id", "created_at")


class SkyvernRunViewSet(DialectViewSet):
    """Runs as Skyvern shows them: the object that the webhook carries, with the request that started it."""

    dialect = PROFILE.name
    action_scopes: ClassVar[dict[str, str]] = {"retry_webhook": Scope.DELIVERIES_REPLAY}

    @extend_schema(request=shapes.SkyvernTaskInput, responses={200: dict})
    @idempotent
    def run_task(self, request: Request) -> HttpResponse:
        """Queue a task; its webhook comes when it has ended, however it ended."""
        values = self.read(shapes.SkyvernTaskInput, request)
        workflow = services.workflow_for(
            organization=self.organization, dialect=self.dialect, slug=TASKS_SLUG, name="Tasks"
        )
        kind = shapes.RUN_TYPES[values["engine"]]
        asked = as_asked(request.data)
        values["input"] = {name: value for name, value in asked.items() if name != "webhook_url"}
        form = TASK_V2_IDS if kind == "task_v2" else TASK_IDS
        return self._queue(workflow, values, asked, kind=kind, id_form=form)

    @extend_schema(request=shapes.SkyvernWorkflowRunInput, responses={200: dict})
    @idempotent
    def run_workflow(self, request: Request) -> HttpResponse:
        """Queue a run of a workflow, named by its id or slug."""
        values = self.read(shapes.SkyvernWorkflowRunInput, request)
        workflow = self.workflow(values["workflow_id"])
        values["input"] = values.get("parameters")
        asked = as_asked(request.data)
        return self._queue(workflow, values, asked, kind=WORKFLOW_RUN, id_form=WORKFLOW_RUN_IDS)

    @extend_schema(responses={200: dict})
    def retrieve(self, request: Request, run_id: str) -> HttpResponse:
        return self._shown(self.run(run_id))

    @extend_schema(request=None, responses={200: None})
    def cancel(self, request: Request, run_id: str) -> HttpResponse:
        """End the run and all runs below it; `null`. A run that has ended otherwise is a 400.

        Each run ends in a transaction of its own, the named one first: a call that was interrupted is made
        again and goes on. What has ended by itself stays as it is, and what is below it ends all the same.
        """
        run = self.run(run_id)
        try:
            self._cancel(run)
        except Conflict:
            run.refresh_from_db(fields=["status"])
            raise AlreadyTerminal(
                f"Invalid status transition from {status_of(run.status)} to canceled for {run.public_id}"
            ) from None
        for below in selectors.unended_below(run):
            with suppress(Conflict):  # it has ended in the meantime
                self._cancel(below)
        return HttpResponse(b"null", content_type="application/json")

    @extend_schema(request=shapes.SkyvernRetryInput, responses=shapes.SkyvernRetryOutput)
    @takes_idempotency_key
    def retry_webhook(self, request: Request, run_id: str) -> Response:
        """Send the run's webhook again and wait for the answer: one attempt, at most 60 seconds.

        200 whatever the receiver said; 400 for a run that has not ended or has nowhere to send to.
        """
        body: Any = request.data  # Skyvern's own client says null where it has nothing to say
        values = valid(shapes.SkyvernRetryInput, {} if body is None else body)
        told = retry_webhook(
            self.run(run_id),
            url=values.get("webhook_url"),
            caller=self.caller,
            once=lambda make: made_once(self, make, lambda id_: delivery_get(self.organization, id_)),
        )
        return Response(shapes.SkyvernRetryOutput(told).data)

    def _queue(
        self, workflow: Workflow, values: dict[str, Any], asked: dict[str, Any], *, kind: str, id_form: IdForm
    ) -> HttpResponse:
        parent_id = values.get("workflow_run_id") or values.get("parent_workflow_run_id")
        parent = self.run(parent_id) if parent_id else None
        url = clean_target(values.get("webhook_url"))
        new = NewRun(
            workflow=workflow,
            input=values["input"],
            webhook_url=url,
            id=values.get("id"),
            created_at=values.get("created_at"),
            id_form=id_form,
            kind=kind,
            request=without_credentials(asked),
            parent=parent,
            api_key=self.caller.key,
        )
        try:
            return self._shown(self.create_run(new))
        except creation.NoSigningKey as error:
            raise NoSigningKey(error.detail, field=error.field) from None

    def _shown(self, run: Run) -> HttpResponse:
        query = ""
        if self.owners_view["full_urls"]:
            with suppress(UndecryptableSecret):  # its key is missing: the rest can be read
                query = run.full_webhook_url.partition("?")[2]
        return as_sent(partial(run_with_request, query=query), run)

    def _cancel(self, run: Run) -> None:
        report_run(organization=self.organization, run_id=run.public_id, move=Move.CANCEL, report=Report())


def as_asked(body: Any) -> dict[str, Any]:
    """The caller's request as it is shown again: all of its fields, with an agent under its older name."""
    named = {"workflow_id" if name == "agent_id" else name: body[name] for name in body if name not in OURS}
    if "agent_id" in body:
        named["workflow_id"] = body["agent_id"]
    return named
