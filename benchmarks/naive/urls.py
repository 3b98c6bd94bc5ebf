"""URLs."""

from django.urls import path

from benchmarks.naive.views import Events, Health, Subscriptions

urlpatterns = [
    path("v1/events", Events.as_view()),
    path("v1/webhooks", Subscriptions.as_view()),
    path("v1/webhooks/<int:subscription_id>", Subscriptions.as_view()),
    path("healthz", Health.as_view()),
]
