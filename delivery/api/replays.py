"""Replays of many deliveries: start, watch, pause, resume, cancel."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import selectors
from delivery.api import replay_serializers as shapes
from delivery.models import Replay
from delivery.replays import services as replays
from delivery.replays.plan import forecast
from subscriptions.api.base import OrganizationViewSet, page, page_of, valid
from subscriptions.api.idempotency import idempotent
from subscriptions.api.views import PAGING
from subscriptions.models import Scope

FORECAST_OR_FIRST = PolymorphicProxySerializer(
    "ForecastOrFirstReplay", [shapes.ForecastOutput, shapes.ReplayOutput], resource_type_field_name=None
)


class ReplayViewSet(OrganizationViewSet):
    """Replays of the organization; one delivery has its own call, below `/v1/deliveries`."""

    read_scope = Scope.DELIVERIES_READ
    write_scope = Scope.DELIVERIES_REPLAY

    @extend_schema(
        parameters=[*PAGING, shapes.ReplayStateFilter], responses=page_of("replays", shapes.ReplayOutput)
    )
    def list(self, request: Request) -> Response:
        """Newest first."""
        wanted = valid(shapes.ReplayStateFilter, request.query_params)
        rows = selectors.replays(self.organization).filter(**wanted)
        return page(request, "replays", rows, shapes.ReplayOutput)

    @extend_schema(request=shapes.ReplaysInput, responses={200: FORECAST_OR_FIRST, 202: shapes.ReplayOutput})
    @idempotent
    def create(self, request: Request) -> Response:
        """Send again what ended before this call and matches, oldest first, in the background.

        What has arrived since is left out unless `include_delivered` or the state `delivered` asks
        for it. `dry_run` answers 200 with numbers and stores nothing; a known `replay_key` answers
        200 with its first replay.
        """
        values = valid(shapes.ReplaysInput, request.data)
        new = shapes.new_replay(self.organization, values)
        seconds = settings.REPLAY_COUNT_MAX_SECONDS
        if values.get("dry_run"):
            return Response(shapes.ForecastOutput(forecast(new, count_seconds=seconds)).data)
        made, is_new = replays.replay_create(new, count_seconds=seconds)
        code = status.HTTP_202_ACCEPTED if is_new else status.HTTP_200_OK
        return Response(shapes.ReplayOutput(made).data, status=code)

    @extend_schema(responses=shapes.ReplayOutput)
    def retrieve(self, request: Request, replay_id: UUID) -> Response:
        """Its progress: `examined` of `matched`, of which `replayed`, and why the others were `skipped`."""
        replay = selectors.replay_get(self.organization, replay_id)
        return Response(shapes.ReplayOutput(replay).data)

    @extend_schema(request=None, responses=shapes.ReplayOutput)
    def pause(self, request: Request, replay_id: UUID) -> Response:
        """Stop for now; what was replayed so far goes on."""
        return self._moved(replay_id, replays.replay_pause)

    @extend_schema(request=None, responses=shapes.ReplayOutput)
    def resume(self, request: Request, replay_id: UUID) -> Response:
        """Go on where it was paused."""
        return self._moved(replay_id, replays.replay_resume)

    @extend_schema(request=None, responses=shapes.ReplayOutput)
    def cancel(self, request: Request, replay_id: UUID) -> Response:
        """Stop for good; what was replayed so far goes on."""
        return self._moved(replay_id, replays.replay_cancel)

    def _moved(self, replay_id: UUID, move: Callable[[Replay], Replay]) -> Response:
        replay = selectors.replay_get(self.organization, replay_id)
        return Response(shapes.ReplayOutput(move(replay)).data)
