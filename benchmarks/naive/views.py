"""POST /v1/events and /v1/webhooks, in the shapes of the product, so that one driver serves both."""

import secrets
from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from benchmarks.naive.models import Delivery, Event, Subscription
from benchmarks.naive.tasks import deliver


class EventInput(serializers.Serializer[Any]):
    event_type = serializers.CharField(max_length=128)
    data: Any = serializers.JSONField()


class SubscriptionInput(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=2048)
    events = serializers.ListField(child=serializers.CharField())


class Events(APIView):
    def post(self, request: Request) -> Response:
        said = EventInput(data=request.data)
        said.is_valid(raise_exception=True)
        event_type = said.validated_data["event_type"]
        with transaction.atomic():
            event = Event.objects.create(
                event_id=f"evt_{secrets.token_hex(12)}", type=event_type, data=said.validated_data["data"]
            )
            subscriptions = Subscription.objects.filter(events__contains=[event_type])
            deliveries = Delivery.objects.bulk_create(
                Delivery(event=event, subscription=subscription) for subscription in subscriptions
            )
            transaction.on_commit(lambda: [deliver.delay(delivery.pk) for delivery in deliveries])
        return Response({"event_id": event.event_id, "subscriptions": len(deliveries)}, status=202)


class Subscriptions(APIView):
    def post(self, request: Request) -> Response:
        said = SubscriptionInput(data=request.data)
        said.is_valid(raise_exception=True)
        subscription = Subscription.objects.create(**said.validated_data, secret=secrets.token_hex(32))
        return Response({"id": subscription.pk}, status=201)

    def delete(self, request: Request, subscription_id: int) -> Response:
        Subscription.objects.filter(pk=subscription_id).update(events=[])
        return Response(status=204)


class Health(APIView):
    permission_classes: Any = []

    def get(self, request: Request) -> Response:
        return Response({"status": "ok"})
