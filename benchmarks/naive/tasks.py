"""One task per delivery."""

import hashlib
import hmac
import json
import time
from typing import Any

import requests
from celery import shared_task

from benchmarks.naive.models import Attempt, Delivery


@shared_task(
    bind=True,
    autoretry_for=(requests.RequestException,),
    retry_backoff=True,
    retry_backoff_max=600,
    max_retries=8,
)
def deliver(self: Any, delivery_id: int) -> None:
    """Post the event to its subscription and log the attempt; a failure is tried again by Celery."""
    delivery = Delivery.objects.select_related("event", "subscription").get(pk=delivery_id)
    event, subscription = delivery.event, delivery.subscription
    body = json.dumps({"type": event.type, "id": event.event_id, "data": event.data}).encode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": event.event_id,
        "X-Webhook-Signature": hmac.new(subscription.secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    started = time.monotonic()
    attempt = Attempt(delivery=delivery)
    try:
        response = requests.post(subscription.url, data=body, headers=headers, timeout=10)
        attempt.status_code, attempt.response_body = response.status_code, response.text[:2048]
        response.raise_for_status()
    except requests.RequestException as error:
        attempt.error = str(error)[:500]
        raise
    finally:
        attempt.duration_ms = 1000 * (time.monotonic() - started)
        attempt.save()
    delivery.state = "delivered"
    delivery.save(update_fields=["state"])
