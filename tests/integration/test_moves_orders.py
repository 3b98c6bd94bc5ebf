"""Orders of two things at once that are rare and matter: each is brought about on purpose, not by luck."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Event as Flag
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from delivery import health, hold, services
from delivery.models import Delivery
from delivery.recorder import postpone
from delivery.states import State
from subscriptions import keys, snapshots
from subscriptions.models import Organization, SigningSecret, Subscription
from subscriptions.services import signing_secret_rotate, subscription_delete, subscription_update
from tests.factories import at_once
from tests.integration.moves import (
    aside,
    deactivate,
    delete,
    enable_and_recover,
    gone,
    refused,
    rotate,
    wait_until_blocked,
    work,
)
from tests.integration.test_claim import claimed_from, expire_lease
from tests.integration.test_outbox import happen
from tests.integration.test_recorder import outcome_of
from tests.scripted import ANSWERS, Scripted
from webhooks_project.errors import NotFound


@pytest.fixture
def subscription(subscribe: Callable[..., Subscription]) -> Subscription:
    return subscribe(retry_schedule=[30.0])


@pytest.fixture
def delivery(organization: Organization, subscription: Subscription) -> Delivery:
    return happen(organization).deliveries.get()


def deadlocked(*working: "Future[Any]") -> bool:
    return any(isinstance(one.exception(20), OperationalError) for one in working)


def blocked_or_done(working: "Future[Any]") -> None:
    """Until it waits for a lock or has ended: as far as it comes."""
    with connection.cursor() as cursor:
        while not working.done():
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchall()[0][0]:
                return


class Stop:
    """Stands before a function: its first call waits there until it may go on."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.reached, self.go_on = Flag(), Flag()

    def __call__(self, *args: Any, **named: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go_on.wait(20)
        return self._function(*args, **named)


def stop_at(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> Stop:
    stop = Stop(getattr(module, name))
    monkeypatch.setattr(module, name, stop)
    return stop


def meet(
    stop: Stop, first: Callable[[], Any], second: Callable[[], Any]
) -> tuple["Future[Any]", "Future[Any]"]:
    """The first comes as far as the stop, then the second as far as it can, then both go on."""
    with ThreadPoolExecutor(2) as pool:
        one = aside(pool, first)
        assert stop.reached.wait(20)
        other = aside(pool, second)
        blocked_or_done(other)
        stop.go_on.set()
    return one, other


# --- Locks ---


def test_recovering_one_while_its_owner_deactivates_deadlocks_nobody(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone(organization, subscription)
    held = happen(organization).deliveries.get()
    stop = stop_at(monkeypatch, hold, "subscription_get")

    both = meet(
        stop,
        lambda: refused(lambda: hold.recover_one(organization=organization, delivery_id=held.id)),
        lambda: deactivate(held),
    )

    assert not deadlocked(*both)
    held.refresh_from_db()
    assert held.state == State.CANCELLED


def test_recovering_all_while_its_owner_deactivates_deadlocks_nobody(
    organization: Organization, subscription: Subscription
) -> None:
    deliveries = [happen(organization).deliveries.get() for _ in range(3)]
    # In the table the youngest now comes first; a recovery begins with the oldest.
    for one in reversed(deliveries):
        Delivery.objects.filter(pk=one.pk).update(state=State.HELD, held_at=Now(), next_attempt_at=None)

    with ThreadPoolExecutor(2) as pool, transaction.atomic():
        Delivery.objects.select_for_update().get(pk=deliveries[1].pk)
        recovering = aside(pool, lambda: enable_and_recover(organization, subscription.pk))
        wait_until_blocked()
        deactivating = aside(pool, lambda: deactivate(deliveries[0]))
        wait_until_blocked(2)

    assert not deadlocked(recovering, deactivating)
    assert {one.state for one in Delivery.objects.all()} == {State.CANCELLED}


def test_rotating_while_it_is_deleted_deadlocks_nobody_and_leaves_no_secret(
    subscription: Subscription, delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = stop_at(monkeypatch, keys, "new_standard_secret")

    both = meet(stop, lambda: refused(lambda: rotate(delivery)), lambda: delete(delivery))

    assert not deadlocked(*both)
    assert not SigningSecret.objects.filter(subscription=subscription).exists()


def test_a_deleted_subscription_gets_no_new_secret(
    organization: Organization, subscription: Subscription
) -> None:
    subscription_delete(organization=organization, subscription_id=subscription.pk)

    with suppress(NotFound):
        signing_secret_rotate(organization=organization, subscription=subscription)

    assert not SigningSecret.objects.filter(subscription=subscription).exists()


def test_of_rotations_at_once_one_leaves_the_secret_that_stays(
    subscription: Subscription, delivery: Delivery
) -> None:
    for _ in range(5):
        at_once(*[lambda: rotate(delivery)] * 3)

        secrets = SigningSecret.objects.filter(subscription=subscription)
        assert secrets.filter(expires_at=None).count() == 1
        secrets.exclude(expires_at=None).delete()  # as when the overlap is over


# --- What nobody would recover must not be held ---


def test_what_happens_as_its_owner_deactivates_a_disabled_one_is_cancelled(
    organization: Organization, subscription: Subscription
) -> None:
    gone(organization, subscription)

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        stop(organization, subscription)
        happening = aside(pool, lambda: happen(organization))
        wait_until_blocked()
    delivery = happening.result().deliveries.get()
    work(delivery, Scripted(lambda _: ANSWERS["accepted"]))

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.CANCELLED, "subscription_deactivated")


def stop(organization: Organization, subscription: Subscription) -> None:
    subscription_update(
        organization=organization, subscription_id=subscription.pk, values={"is_active": False}
    )


def test_a_410_for_what_happened_as_its_owner_deactivates_ends_it(
    organization: Organization, subscription: Subscription
) -> None:
    def happen_and_be_gone() -> Delivery:
        delivery = happen(organization).deliveries.get()
        work(delivery, Scripted(lambda _: ANSWERS["gone"]))
        return delivery

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        stop(organization, subscription)
        working = aside(pool, happen_and_be_gone)
        wait_until_blocked()

    delivery = working.result()
    delivery.refresh_from_db()
    subscription.refresh_from_db()
    assert subscription.disabled_at is None
    assert delivery.finished_at is not None


def test_a_second_410_does_not_hold_what_the_recovery_has_passed_by(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = happen(organization).deliveries.get()
    claimed = claimed_from(second)
    gone(organization, subscription)
    pause = stop_at(monkeypatch, health, "record")
    answered = outcome_of(claimed, state=State.HELD, reason="gone", status_code=410)

    recording, _ = meet(
        pause,
        lambda: health.record_gone(answered),
        lambda: enable_and_recover(organization, subscription.pk),
    )

    assert recording.result()
    second.refresh_from_db()
    subscription.refresh_from_db()
    assert (second.state == State.HELD) == (subscription.disabled_at is not None)


def test_a_worker_that_gives_a_delivery_back_after_its_lease_does_not_wake_what_is_held(
    organization: Organization, subscription: Subscription, delivery: Delivery
) -> None:
    claimed = claimed_from(delivery)
    expire_lease(delivery)
    gone(organization, subscription)

    postpone(claimed, "secret_undecryptable", 0)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.next_attempt_at) == (State.HELD, None)


def test_a_test_event_is_not_held_as_it_goes_out_while_disabled(
    organization: Organization, subscription: Subscription
) -> None:
    tested = services.send_test(organization=organization, subscription_id=subscription.pk)
    gone(organization, subscription)

    work(tested, Scripted(lambda _: ANSWERS["accepted"]))

    tested.refresh_from_db()
    assert tested.state == State.DELIVERED


# --- A receiver is read as of one moment ---


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
    """What happens after a worker has claimed a delivery and before it reads the receiver, once."""
    happens: list[Callable[[], object]] = []
    read = snapshots._read

    def late(subscription_ids: Any) -> Any:
        if happens:
            happens.pop()()
        return read(subscription_ids)

    monkeypatch.setattr(snapshots, "_read", late)
    return happens


def test_what_is_deleted_while_a_worker_reads_it_gets_no_unsigned_request(
    delivery: Delivery, between: list[Callable[[], object]]
) -> None:
    between.append(lambda: delete(delivery))
    transport = Scripted(lambda _: ANSWERS["accepted"])

    work(delivery, transport)

    assert [request for request in transport.requests if "webhook-signature" not in request.headers] == []


def test_an_old_url_never_gets_a_new_secret(
    organization: Organization,
    subscribe: Callable[..., Subscription],
    between: list[Callable[[], object]],
) -> None:
    subscription = subscribe(signature_schemes=["shared_secret"], secret="old")
    delivery = happen(organization).deliveries.get()
    values = {"url": "http://127.0.0.1/new", "secret": "new"}
    between.append(
        lambda: subscription_update(organization=organization, subscription_id=subscription.pk, values=values)
    )
    transport = Scripted(lambda _: ANSWERS["accepted"])

    work(delivery, transport)

    sent = {(request.url, request.headers["X-Webhook-Secret"]) for request in transport.requests}
    assert sent <= {(subscription.url, "old"), ("http://127.0.0.1/new", "new")}
