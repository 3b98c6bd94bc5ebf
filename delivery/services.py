"""What people and the API may do with deliveries: test, cancel, report a custom event."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from delivery import formats, outbox, selectors
from delivery.callbacks import Callback
from delivery.cancel import cancel_of_subscription, cancel_one, stop_reason
from delivery.claim import Claimed
from delivery.models import Attempt, Delivery, Event, EventBody
from delivery.queue import WakeUp, publish_after_commit
from delivery.states import Lane, State
from subscriptions import audit
from subscriptions.event_types import WORKFLOW_COMPLETED
from subscriptions.models import Organization, Subscription
from subscriptions.selectors import subscription_get
from webhooks_project.errors import Conflict, InvalidInput, TooManyWaiting

# A waiting request looks for its attempt this often.
POLL_SECONDS = 0.05

_waiting: Counter[int] = Counter()
_waiting_lock = threading.Lock()


def send_test(*, organization: Organization, subscription_id: int) -> Delivery:
    """A made-up `workflow.completed` to one subscription, active or not, whatever it subscribes to."""
    with transaction.atomic():
        subscription = subscription_get(organization, subscription_id)
        source = next(iter(subscription.workflow_ids), "wf_test")
        data, detail = formats.example(source)
        new = outbox.NewEvent(
            organization=organization,
            event_type=WORKFLOW_COMPLETED,
            occurred_at=timezone.now(),
            data=data,
            source=source,
            detail=detail,
            is_test=True,
        )
        _, delivery = outbox.append_for(new, subscription)
        audit.record(
            "subscription.tested",
            subscription_id,
            organization=organization,
            after={"delivery": str(delivery.pk)},
        )
    return delivery


@contextmanager
def one_waiting_place(organization: Organization) -> Iterator[None]:
    """A place among the requests that may wait for a receiver; raises TooManyWaiting without taking one.

    Waiting requests hold threads of the API. Their number is bounded, so they cannot use them up, and no
    organization holds more than half of the places: its receivers that hang are nobody else's wait.
    """
    most = settings.DELIVERY_WAITS_MAX
    with _waiting_lock:
        if _waiting.total() >= most or _waiting[organization.pk] >= max(1, most // 2):
            raise TooManyWaiting
        _waiting[organization.pk] += 1
    try:
        yield
    finally:
        with _waiting_lock:
            _waiting[organization.pk] -= 1
            if not _waiting[organization.pk]:
                del _waiting[organization.pk]


def wait_for_attempt(delivery: Delivery, *, seconds: float) -> Attempt | None:
    """The first attempt of the delivery once it is on record, or None after `seconds`."""
    ends = time.monotonic() + seconds
    while True:
        attempt = Attempt.objects.filter(delivery=delivery).order_by("id").first()
        if attempt is not None or time.monotonic() >= ends:
            return attempt
        time.sleep(POLL_SECONDS)


def test_wait_seconds(subscription: Subscription) -> float:
    timeout = subscription.timeout_seconds or settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS
    return timeout + settings.DELIVERY_WAIT_MARGIN_SECONDS


def cancel(*, organization: Organization, delivery_id: UUID) -> Delivery:
    """End a delivery that still waits. Cancelling twice changes nothing. Raises NotFound, Conflict."""
    with transaction.atomic():
        delivery = selectors.delivery_get(organization, delivery_id, lock=True)
        if delivery.state == State.CANCELLED:
            return delivery
        if not cancel_one(delivery.id, "cancelled_by_request"):
            raise Conflict(f"the delivery is {delivery.state} already", code="delivery_ended")
        before = {"state": delivery.state}
        delivery.refresh_from_db()
        audit.record(
            "delivery.cancelled",
            delivery.pk,
            organization=organization,
            before=before,
            after={"state": delivery.state},
        )
    return delivery


def cancel_claimed(claimed: Claimed) -> None:
    """What was to sign or to receive is gone since the event happened: nothing is sent."""
    if claimed.callback is not None:
        reason = "signing_key_revoked"
    else:
        reason = stop_reason(deleted=claimed.is_active is None or claimed.deleted_at is not None)
    cancel_one(claimed.id, reason)


def stop_subscription(*, subscription: Subscription, reason: str, **_: Any) -> None:
    """Receiver of the signal `subscription_stopped`, inside its transaction."""
    cancel_of_subscription(subscription.pk, reason)


def send_event_to(event: Event, callback: Callback, *, render: Callable[[], bytes]) -> Delivery:
    """One attempt at a known event for a callback, with its frozen bytes where there are any.

    The event is locked. Raises InvalidInput where those bytes are no longer kept: others might differ.
    """
    original = event.deliveries.filter(callback__isnull=False).order_by("id").first()
    if original is not None and original.kept_body() is None:
        raise InvalidInput("what was sent is no longer kept", code="body_gone")
    body = event.bodies.filter(payload_format=callback.payload_format).first()
    if body is None:
        body = EventBody.objects.create(event=event, payload_format=callback.payload_format, body=render())
    delivery = Delivery.objects.create(
        organization_id=event.organization_id,
        event=event,
        body=body,
        callback=callback.as_row(),
        url=callback.url,
        webhook_id=event.event_id,
        replay_of=original,
        once=True,
        lane=Lane.REPLAY,
    )
    publish_after_commit([WakeUp(delivery.id, 1, Lane.REPLAY)])
    return delivery
