"""Deliveries, the logs and tests of subscriptions, and custom events."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import hold, selectors, services
from delivery.api import serializers as shapes
from delivery.models import Attempt
from delivery.replays import services as replays
from subscriptions.api.base import OrganizationViewSet, page, page_of, valid
from subscriptions.api.idempotency import idempotent, made_once, takes_idempotency_key
from subscriptions.api.views import PAGING
from subscriptions.models import Scope
from subscriptions.selectors import subscription_get

EVENT_TYPE = OpenApiParameter("event_type", str, description="only of this event type")


class SubscriptionLogsViewSet(OrganizationViewSet):
    """Logs and tests of webhook subscriptions (seed 001)."""

    read_scope = Scope.DELIVERIES_READ
    write_scope = Scope.WEBHOOKS_WRITE
    action_scopes = {"recover": Scope.DELIVERIES_REPLAY}

    @extend_schema(parameters=[*PAGING, EVENT_TYPE], responses=page_of("logs", shapes.LogOutput))
    def logs(self, request: Request, subscription_id: int) -> Response:
        """Every attempt for one subscription, retries included, newest first; also after it was deleted."""
        subscription = subscription_get(self.organization, subscription_id, also_deleted=True)
        rows = selectors.attempts(self.organization).filter(subscription_id=subscription.pk)
        return page(request, "logs", self._filtered(rows), shapes.LogOutput)

    @extend_schema(parameters=[*PAGING, EVENT_TYPE], responses=page_of("logs", shapes.LogOutput))
    def all_logs(self, request: Request) -> Response:
        """Every attempt of the organization, newest first; those of deleted subscriptions stay."""
        rows = selectors.attempts(self.organization)
        return page(request, "logs", self._filtered(rows), shapes.LogOutput)

    @extend_schema(request=None, responses={200: shapes.TestOutput, 202: shapes.TestOutput})
    @takes_idempotency_key
    def test(self, request: Request, subscription_id: int) -> Response:
        """Send a made-up `workflow.completed` and wait for its one attempt.

        202 without an outcome if that takes too long; the delivery then shows it later. With an
        `Idempotency-Key`, a later call is answered from the first one's attempt, and waits for it, too.
        """
        with services.one_waiting_place(self.organization):
            subscription = subscription_get(self.organization, subscription_id)
            delivery = made_once(
                self,
                lambda: services.send_test(organization=self.organization, subscription_id=subscription_id),
                lambda id_: selectors.delivery_get(self.organization, id_),
            )
            attempt = services.wait_for_attempt(delivery, seconds=services.test_wait_seconds(subscription))
        outcome: dict[str, Any] = {
            "event_id": delivery.event.event_id,
            "delivery_id": delivery.id,
            "success": attempt and attempt.success,
            "status_code": attempt and attempt.status_code,
            "error": (attempt and attempt.error_message) or None,
        }
        code = status.HTTP_202_ACCEPTED if attempt is None else status.HTTP_200_OK
        return Response(shapes.TestOutput(outcome).data, status=code)

    @extend_schema(request=shapes.RecoverInput, responses=shapes.RecoverOutput)
    def recover(self, request: Request, subscription_id: int) -> Response:
        """Send what was held since a time, while the service had the subscription disabled.

        Set `is_active` to true first (409 until then). Repeating the call sends nothing twice.
        """
        subscription_get(self.organization, subscription_id)
        since = valid(shapes.RecoverInput, request.data)["since"]
        count = hold.recover(organization=self.organization, subscription_id=subscription_id, since=since)
        return Response({"recovered": count})

    def _filtered(self, rows: QuerySet[Attempt]) -> QuerySet[Attempt]:
        return rows.filter(**valid(shapes.LogFilter, self.request.query_params))


class DeliveryViewSet(OrganizationViewSet):
    """Deliveries of the organization."""

    read_scope = Scope.DELIVERIES_READ
    write_scope = Scope.DELIVERIES_REPLAY

    @extend_schema(
        parameters=[*PAGING, shapes.DeliveryFilter], responses=page_of("deliveries", shapes.DeliveryOutput)
    )
    def list(self, request: Request) -> Response:
        wanted = valid(shapes.DeliveryFilter, request.query_params)
        names = {"event_type": "event__type", "event_id": "event__event_id"}
        filters = {names.get(name, name): value for name, value in wanted.items()}
        rows = selectors.deliveries(self.organization).filter(**filters)
        return page(request, "deliveries", rows, shapes.DeliveryOutput)

    @extend_schema(responses=shapes.DeliveryStory)
    def retrieve(self, request: Request, delivery_id: UUID) -> Response:
        delivery = selectors.delivery_get(self.organization, delivery_id)
        return Response(shapes.DeliveryStory(delivery).data)

    @extend_schema(request=shapes.ReplayInput, responses={202: shapes.DeliveryOutput})
    @idempotent
    def replay(self, request: Request, delivery_id: UUID) -> Response:
        """Send the same bytes again, as a new delivery that points at this one, even if it was delivered.

        409 while another delivery of the event to the same target is open. Many: `/v1/replays`.
        """
        values = valid(shapes.ReplayInput, request.data)
        copy = replays.replay(organization=self.organization, delivery_id=delivery_id, **values)
        return Response(shapes.DeliveryOutput(copy).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses=shapes.DeliveryOutput)
    def cancel(self, request: Request, delivery_id: UUID) -> Response:
        """End a delivery that still waits; nothing more is sent for it."""
        delivery = services.cancel(organization=self.organization, delivery_id=delivery_id)
        return Response(shapes.DeliveryOutput(delivery).data)

    @extend_schema(request=None, responses=shapes.DeliveryOutput)
    @idempotent
    def recover(self, request: Request, delivery_id: UUID) -> Response:
        """Send a held delivery, such as one that was parked because its workers ended again and again."""
        delivery = hold.recover_one(organization=self.organization, delivery_id=delivery_id)
        return Response(shapes.DeliveryOutput(delivery).data)
