"""Subscriptions, events, deliveries and attempts."""

from django.db import models


class Subscription(models.Model):
    url = models.URLField(max_length=2048)
    events = models.JSONField(default=list)
    secret = models.CharField(max_length=64)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.url


class Event(models.Model):
    event_id = models.CharField(max_length=64, unique=True)
    type = models.CharField(max_length=128)
    data = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return self.event_id


class Delivery(models.Model):
    event = models.ForeignKey(Event, on_delete=models.CASCADE)
    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE)
    state = models.CharField(max_length=16, default="pending")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return f"{self.event_id} to {self.subscription_id}"


class Attempt(models.Model):
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE)
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True)
    response_body = models.TextField(blank=True)
    duration_ms = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "naive"

    def __str__(self) -> str:
        return f"attempt of {self.delivery_id}"
