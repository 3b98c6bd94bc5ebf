"""Many reports in one call: each applied or refused on its own, answered in order."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from runs.api import report_serializers as inputs
from runs.api.reports import report_of
from runs.api.views import RunsScopesViewSet
from runs.models import PUBLIC_ID_MAX_CHARACTERS
from runs.states import RUN_MOVES, Move
from runs.transitions import Applied, Reported, report_all
from subscriptions.api.authentication import Caller
from subscriptions.api.base import checked, valid
from subscriptions.api.fields import JSONObjectField, StrictCharField, StrictChoiceField
from subscriptions.api.serializers import RefusesUnknownFields
from webhooks_project.api_errors import body, validation_body
from webhooks_project.errors import DomainError


class BatchedReport(RefusesUnknownFields):
    """One report: of a step if `step` names one, else of the run; `report` is the body of the single call."""

    run_id = StrictCharField(max_length=PUBLIC_ID_MAX_CHARACTERS)
    move = StrictChoiceField(choices=[move.value for move in RUN_MOVES])
    step = serializers.RegexField(rf"\A{inputs.STEP_KEY}\Z", required=False)
    report = JSONObjectField(required=False)


class BatchInput(RefusesUnknownFields):
    """Up to RUN_REPORTS_PER_BATCH_MAX reports, of any runs; each is checked on its own."""

    reports = serializers.ListField(
        child=serializers.JSONField(allow_null=True), allow_empty=False, min_length=1
    )

    def validate_reports(self, reports: list[Any]) -> list[Any]:
        if len(reports) > settings.RUN_REPORTS_PER_BATCH_MAX:
            raise ValidationError(f"At most {settings.RUN_REPORTS_PER_BATCH_MAX} reports.", code="too_many")
        return reports


class BatchResult(serializers.Serializer[Any]):
    """`status` is that of the single call; `state` where it was applied, else `error` in the common shape."""

    run_id = serializers.CharField(allow_null=True)
    status = serializers.IntegerField()
    state = serializers.CharField(required=False)
    error = serializers.JSONField(required=False)


class BatchOutput(serializers.Serializer[Any]):
    """One result per report, in their order."""

    results = BatchResult(many=True)


class BatchViewSet(RunsScopesViewSet):
    """Reports by the hundred, for executors that gather them."""

    @extend_schema(request=BatchInput, responses={200: BatchOutput})
    def create(self, request: Request) -> Response:
        """Each report is applied or refused on its own: one that is refused holds up no other."""
        said = Batch(self.caller, valid(BatchInput, request.data)["reports"])
        return Response(said.answered(report_all(said.reported)))


class Batch:
    """A call's reports: those that are valid are `reported`, the others are refused already."""

    def __init__(self, caller: Caller, said: Sequence[Any]) -> None:
        self.reported: list[Reported] = []
        self._run_ids = [one.get("run_id") if isinstance(one, dict) else None for one in said]
        self._refused: dict[int, dict[str, Any]] = {}
        for place, one in enumerate(said):
            try:
                self.reported.append(_reported(caller, one))
            except ValidationError as error:
                self._refused[place] = {"status": 422, "error": validation_body(error.detail)}

    def answered(self, answers: Sequence[Applied | DomainError]) -> dict[str, Any]:
        """What the caller is told, given what came of the valid ones."""
        left = iter(answers)
        return {
            "results": [
                {"run_id": run_id} | (self._refused.get(place) or _result(next(left)))
                for place, run_id in enumerate(self._run_ids)
            ]
        }


def _reported(caller: Caller, said: Any) -> Reported:
    """Raises ValidationError."""
    values = checked(BatchedReport, said)
    move = Move(values["move"])
    shapes = inputs.STEP_SHAPES if "step" in values else inputs.RUN_SHAPES
    if move not in shapes:
        raise ValidationError({"move": [f"A step cannot {move}."]}, code="invalid_choice")
    return Reported(
        organization=caller.organization,
        run_id=values["run_id"],
        step=values.get("step"),
        move=move,
        report=report_of(caller, checked(shapes[move], values.get("report", {}))),
    )


def _result(answer: Applied | DomainError) -> dict[str, Any]:
    if isinstance(answer, DomainError):
        error = body(answer.detail, answer.error_code, answer.field)
        return {"status": answer.status, "error": error}
    return {"status": 200, "state": answer.state}
