"""URLs under /v1/."""

from django.urls import path

from delivery.api.views import DeliveryViewSet, EventViewSet, SubscriptionLogsViewSet

urlpatterns = [
    path("webhooks/logs/all", SubscriptionLogsViewSet.as_view({"get": "all_logs"})),
    path("webhooks/<int:subscription_id>/logs", SubscriptionLogsViewSet.as_view({"get": "logs"})),
    path("webhooks/<int:subscription_id>/test", SubscriptionLogsViewSet.as_view({"post": "test"})),
    path("deliveries", DeliveryViewSet.as_view({"get": "list"})),
    path("deliveries/<uuid:delivery_id>", DeliveryViewSet.as_view({"get": "retrieve"})),
    path("deliveries/<uuid:delivery_id>/replay", DeliveryViewSet.as_view({"post": "replay"})),
    path("deliveries/<uuid:delivery_id>/cancel", DeliveryViewSet.as_view({"post": "cancel"})),
    path("events", EventViewSet.as_view({"post": "create"})),
]
