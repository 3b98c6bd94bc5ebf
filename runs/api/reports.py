"""An executor's reports. The same report again is answered as the first time and tells nobody."""

import re
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api import report_serializers as inputs
from runs.api import serializers as shapes
from runs.api.shown import run_shown, step_shown
from runs.api.views import RunsScopesViewSet
from runs.moves import Report
from runs.states import Move
from runs.transitions import Reported, report_one
from subscriptions.api.authentication import Caller
from subscriptions.api.base import valid
from subscriptions.models import Scope
from webhooks_project.errors import InvalidInput

STEP_KEY = OpenApiParameter(
    "key", {"type": "string", "pattern": f"^{inputs.STEP_KEY}$"}, OpenApiParameter.PATH
)


def report_of(caller: Caller, values: dict[str, Any]) -> Report:
    """The validated values of a body as a report."""
    occurred_at = values.pop("occurred_at", None)
    return Report(values=values, occurred_at=occurred_at, may_import=caller.may(Scope.RUNS_IMPORT))


def run_report(
    caller: Caller, run_id: str, move: Move, values: dict[str, Any], *, full_urls: bool
) -> Reported:
    """A report about a run, of which the whole is shown."""
    return Reported(
        organization=caller.organization,
        run_id=run_id,
        move=move,
        report=report_of(caller, values),
        show=lambda held: run_shown(held.run, held.all_steps(), full_urls=full_urls),
        shows_steps=True,
    )


def step_report(caller: Caller, run_id: str, key: str, move: Move, values: dict[str, Any]) -> Reported:
    """A report about a step, which is shown."""
    return Reported(
        organization=caller.organization,
        run_id=run_id,
        step=key,
        move=move,
        report=report_of(caller, values),
        show=lambda held: step_shown(held.steps[key]),
    )


class RunReportViewSet(RunsScopesViewSet):
    """Reports about a run."""

    def _move(self, move: Move, request: Request, run_id: str) -> Response:
        values = valid(inputs.RUN_SHAPES[move], request.data)
        said = run_report(self.caller, run_id, move, values, **self.owners_view)
        return Response(report_one(said).shown)

    @extend_schema(request=inputs.StartInput, responses=shapes.RunWithSteps)
    def start(self, request: Request, run_id: str) -> Response:
        """The run starts, or goes on after a pause; a second executor is refused."""
        return self._move(Move.START, request, run_id)

    @extend_schema(request=inputs.ReportInput, responses=shapes.RunWithSteps)
    def pause(self, request: Request, run_id: str) -> Response:
        """The run waits, for a person for example."""
        return self._move(Move.PAUSE, request, run_id)

    @extend_schema(request=inputs.ProgressInput, responses=shapes.RunWithSteps)
    def progress(self, request: Request, run_id: str) -> Response:
        """What the run is doing, such as `uploading`; tells nobody."""
        return self._move(Move.PROGRESS, request, run_id)

    @extend_schema(request=inputs.CompleteInput, responses=shapes.RunWithSteps)
    def complete(self, request: Request, run_id: str) -> Response:
        """The run ended well; an output that cannot be found in it makes it a failure."""
        return self._move(Move.COMPLETE, request, run_id)

    @extend_schema(request=inputs.FailInput, responses=shapes.RunWithSteps)
    def fail(self, request: Request, run_id: str) -> Response:
        """The run ended with an error."""
        return self._move(Move.FAIL, request, run_id)

    @extend_schema(request=inputs.EndInput, responses=shapes.RunWithSteps)
    def terminate(self, request: Request, run_id: str) -> Response:
        """The run was ended from outside; receivers see a failure."""
        return self._move(Move.TERMINATE, request, run_id)

    @extend_schema(request=inputs.EndInput, responses=shapes.RunWithSteps)
    def time_out(self, request: Request, run_id: str) -> Response:
        """The run took too long; receivers see a failure."""
        return self._move(Move.TIME_OUT, request, run_id)

    @extend_schema(request=inputs.EndInput, responses=shapes.RunWithSteps)
    def cancel(self, request: Request, run_id: str) -> Response:
        """The run is not wanted any more; only those who ask for it are told."""
        return self._move(Move.CANCEL, request, run_id)


class StepReportViewSet(RunsScopesViewSet):
    """Reports about a step of a running run."""

    def _move(self, move: Move, request: Request, run_id: str, key: str) -> Response:
        if not re.fullmatch(inputs.STEP_KEY, key):
            raise InvalidInput(
                "a step's key has 1 to 128 letters, digits or any of _ . : -", field="key", code="bad_key"
            )
        said = step_report(self.caller, run_id, key, move, valid(inputs.STEP_SHAPES[move], request.data))
        return Response(report_one(said).shown)

    @extend_schema(parameters=[STEP_KEY], request=inputs.StepFields, responses=shapes.StepOutput)
    def start(self, request: Request, run_id: str, key: str) -> Response:
        """The step starts."""
        return self._move(Move.START, request, run_id, key)

    @extend_schema(parameters=[STEP_KEY], request=inputs.StepFields, responses=shapes.StepOutput)
    def complete(self, request: Request, run_id: str, key: str) -> Response:
        """The step ended well."""
        return self._move(Move.COMPLETE, request, run_id, key)

    @extend_schema(parameters=[STEP_KEY], request=inputs.StepFailInput, responses=shapes.StepOutput)
    def fail(self, request: Request, run_id: str, key: str) -> Response:
        """The step ended with an error."""
        return self._move(Move.FAIL, request, run_id, key)
