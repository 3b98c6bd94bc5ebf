"""URLs under /v1/."""

from django.urls import path

from delivery.api.events import EventViewSet
from delivery.api.replays import ReplayViewSet
from delivery.api.views import DeliveryViewSet, SubscriptionLogsViewSet

urlpatterns = [
    path("webhooks/logs/all", SubscriptionLogsViewSet.as_view({"get": "all_logs"})),
    path("webhooks/<int:subscription_id>/logs", SubscriptionLogsViewSet.as_view({"get": "logs"})),
    path("webhooks/<int:subscription_id>/test", SubscriptionLogsViewSet.as_view({"post": "test"})),
    path("webhooks/<int:subscription_id>/recover", SubscriptionLogsViewSet.as_view({"post": "recover"})),
    path("deliveries", DeliveryViewSet.as_view({"get": "list"})),
    path("deliveries/<uuid:delivery_id>", DeliveryViewSet.as_view({"get": "retrieve"})),
    path("deliveries/<uuid:delivery_id>/replay", DeliveryViewSet.as_view({"post": "replay"})),
    path("deliveries/<uuid:delivery_id>/cancel", DeliveryViewSet.as_view({"post": "cancel"})),
    path("deliveries/<uuid:delivery_id>/recover", DeliveryViewSet.as_view({"post": "recover"})),
    path("replays", ReplayViewSet.as_view({"get": "list", "post": "create"})),
    path("replays/<uuid:replay_id>", ReplayViewSet.as_view({"get": "retrieve"})),
    path("replays/<uuid:replay_id>/pause", ReplayViewSet.as_view({"post": "pause"})),
    path("replays/<uuid:replay_id>/resume", ReplayViewSet.as_view({"post": "resume"})),
    path("replays/<uuid:replay_id>/cancel", ReplayViewSet.as_view({"post": "cancel"})),
    path("events", EventViewSet.as_view({"post": "create"})),
    path("events/batch", EventViewSet.as_view({"post": "batch"})),
]
