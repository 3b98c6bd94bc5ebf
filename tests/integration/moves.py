"""What people and the service do to deliveries, by name, and what must be true in the end."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection, connections
from django.db.models import Count, F, Q
from django.db.models.functions import Now
from django.utils import timezone

from delivery import hold, services
from delivery.deliver import Again, deliver
from delivery.models import Attempt, Delivery
from delivery.replays import services as replays
from delivery.sender import Transport
from delivery.short_waits import ShortWaits
from delivery.states import ENDED, OPEN, State
from subscriptions.models import Organization, Subscription
from subscriptions.services import signing_secret_rotate, subscription_delete, subscription_update
from tests.integration.test_outbox import happen
from tests.scripted import ANSWERS, Scripted
from webhooks_project.errors import Conflict, NotFound

Result = TypeVar("Result")
NO_REQUEST = ("cancelled", "subscription_disabled", "worker_lost")
NEW_PATH = "/new"


def cancel(delivery: Delivery) -> object:
    return services.cancel(organization=delivery.organization, delivery_id=delivery.id)


def update(delivery: Delivery, **values: Any) -> Subscription:
    return subscription_update(
        organization=delivery.organization, subscription_id=of(delivery).pk, values=values
    )


def deactivate(delivery: Delivery) -> object:
    return update(delivery, is_active=False)


def delete(delivery: Delivery) -> object:
    subscription_delete(organization=delivery.organization, subscription_id=of(delivery).pk)
    return None


def disable(delivery: Delivery) -> object:
    """The service does it: the receiver answers another delivery with 410."""
    gone(delivery.organization, of(delivery))
    return None


def rotate(delivery: Delivery) -> object:
    return signing_secret_rotate(organization=delivery.organization, subscription=of(delivery))


def replay(delivery: Delivery) -> object:
    return replays.replay(organization=delivery.organization, delivery_id=delivery.id)


def patch(delivery: Delivery) -> object:
    old = of(delivery).url
    return update(delivery, url=old.replace("/hook", NEW_PATH), headers={"X-New": "1"})


Move = Callable[[Delivery], object]
MOVES: Mapping[str, Move] = {
    move.__name__: move for move in (cancel, deactivate, disable, delete, rotate, replay, patch)
}


def of(delivery: Delivery) -> Subscription:
    assert delivery.subscription_id is not None
    return Subscription.objects.get(pk=delivery.subscription_id)


def gone(organization: Organization, subscription: Subscription) -> None:
    """The receiver of a new event says that nobody will ever listen there again."""
    for delivery in happen(organization).deliveries.filter(subscription=subscription):
        work(delivery, Scripted(lambda _: ANSWERS["gone"]))


def enable_and_recover(organization: Organization, subscription_id: int) -> int:
    subscription_update(
        organization=organization, subscription_id=subscription_id, values={"is_active": True}
    )
    since = timezone.now() - timedelta(days=1)
    return hold.recover(organization=organization, subscription_id=subscription_id, since=since)


def work(delivery: Delivery, transport: Transport, attempt: int = 1) -> Again | None:
    """What a worker does with a wake-up."""
    short_waits = ShortWaits(longest_seconds=60, most=1000)
    return deliver(delivery.id, attempt, transport=transport, short_waits=short_waits)


def refused(move: Callable[[], object]) -> bool:
    """Make the move; True if the service said no, by name."""
    try:
        move()
    except (Conflict, NotFound):
        return True
    return False


def aside(pool: ThreadPoolExecutor, call: Callable[[], Result]) -> Future[Result]:
    """Make the call in a thread with a database connection of its own."""

    def make() -> Result:
        try:
            return call()
        finally:
            connections.close_all()

    return pool.submit(make)


def wait_until_blocked(count: int = 1) -> None:
    """Until so many connections wait for a lock."""
    blocked = 0
    with connection.cursor() as cursor:
        while blocked < count:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            (blocked,) = cursor.fetchall()[0]


def settle() -> None:
    """All waits and leases are over, every receiver is well, and workers do what is left to do."""
    accepting = Scripted(lambda _: ANSWERS["accepted"])
    for _ in range(20):
        Delivery.objects.filter(lease_until__isnull=False).update(lease_until=Now() - timedelta(seconds=1))
        due = Delivery.objects.filter(next_attempt_at__isnull=False)
        due.update(next_attempt_at=Now() - timedelta(seconds=1))
        left = list(due)
        if not left:
            return
        for delivery in left:
            work(delivery, accepting, delivery.attempts + 1)
    raise AssertionError(f"never settles: {[(d.state, d.reason) for d in left]}")


def assert_settled() -> None:
    """Every delivery has ended, or waits for a person as its subscription is disabled; the log agrees."""
    requests = Q(attempt_log__late=False) & ~Q(attempt_log__error_class__in=NO_REQUEST)
    rows = Delivery.objects.annotate(
        requests=Count("attempt_log", filter=requests),
        accepted=Count("attempt_log", filter=Q(attempt_log__late=False, attempt_log__success=True)),
    )
    stopped = Subscription.objects.filter(Q(disabled_at=None) | Q(is_active=False))
    assert not rows.filter(state=State.HELD, subscription__in=stopped).exists()
    assert not rows.filter(state__in=OPEN).exists()
    assert not rows.filter(next_attempt_at__isnull=False).exists()
    assert not rows.filter(finished_at=None).exclude(state=State.HELD).exists()
    assert not rows.filter(finished_at__isnull=False).exclude(state__in=ENDED).exists()
    assert not rows.exclude(requests=F("attempts")).exists()
    assert {row.state == State.DELIVERED for row in rows if row.accepted} <= {True}
    assert {row.accepted for row in rows if row.state == State.DELIVERED} <= {1}


def requests_made(delivery: Delivery) -> int:
    return Attempt.objects.filter(delivery=delivery).exclude(error_class__in=NO_REQUEST).count()
