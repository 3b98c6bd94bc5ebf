"""People's moves and the machine's at the very same moment, many times: no deadlock, nothing stuck."""

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event as Flag
from threading import Lock
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from delivery import hold, queue, requeue
from delivery.models import Delivery, Event
from delivery.sender import Answer, NoAnswer, OutgoingRequest
from delivery.states import ENDED, Lane, State
from subscriptions.keys import new_standard_secret
from subscriptions.models import Notice, Organization, Subscription
from subscriptions.services import subscription_update
from tests.factories import at_once
from tests.integration.moves import (
    MOVES,
    NEW_PATH,
    Move,
    aside,
    assert_settled,
    deactivate,
    enable_and_recover,
    gone,
    refused,
    replay,
    requests_made,
    settle,
    update,
    work,
)
from tests.integration.test_outbox import happen
from tests.scripted import ANSWERS, Scripted

Job = Callable[[random.Random], object]
ROUNDS = range(10)
STOPS = {"cancel": State.CANCELLED, "deactivate": State.CANCELLED, "delete": State.CANCELLED}
STOPS |= {"disable": State.HELD}


@pytest.fixture
def subscription(subscribe: Callable[..., Subscription]) -> Subscription:
    return subscribe(retry_schedule=[0.0, 0.0], events=["order.paid"])


def fresh(organization: Organization, subscription: Subscription) -> Delivery:
    return happen(organization).deliveries.get(subscription=subscription)


def answering(name: str) -> Scripted:
    return Scripted(lambda _: ANSWERS[name])


@pytest.mark.parametrize("answer", ["accepted", "failed"])
@pytest.mark.parametrize("move", STOPS)
def test_a_stop_at_the_moment_of_an_attempt_is_before_or_after_it_and_nothing_between(
    organization: Organization, subscribe: Callable[..., Subscription], move: str, answer: str
) -> None:
    for _ in ROUNDS:
        delivery = fresh(organization, subscribe(events=["order.paid"]))
        transport = answering(answer)

        at_once(partial(work, delivery, transport), partial(refused, partial(MOVES[move], delivery)))
        settle()

        delivery.refresh_from_db()
        accepted = answer == "accepted" and len(transport.requests) == 1
        assert delivery.state == (State.DELIVERED if accepted else STOPS[move])
        assert len(transport.requests) == requests_made(delivery) <= 1
        assert_settled()
        refused(partial(deactivate, delivery))


def test_a_changed_target_at_the_moment_of_an_attempt_gets_the_old_request_or_the_new_one(
    organization: Organization, subscription: Subscription
) -> None:
    for number in ROUNDS:
        old, new = f"http://127.0.0.1/{number}", f"http://127.0.0.1/{NEW_PATH}/{number}"
        change(organization, subscription, url=old, headers={"X-At": old})
        delivery, transport = fresh(organization, subscription), answering("accepted")

        at_once(
            partial(work, delivery, transport),
            partial(change, organization, subscription, url=new, headers={"X-At": new}),
        )

        (request,) = transport.requests
        assert request.url in (old, new)
        assert request.headers["X-At"] == request.url
        delivery.refresh_from_db()
        assert (delivery.state, delivery.url) == (State.DELIVERED, request.url)


def change(organization: Organization, subscription: Subscription, **values: Any) -> None:
    subscription_update(organization=organization, subscription_id=subscription.pk, values=values)


def test_a_rotation_at_the_moment_of_an_attempt_signs_with_the_old_secret_in_any_case(
    organization: Organization, subscription: Subscription
) -> None:
    for _ in ROUNDS:
        delivery, transport = fresh(organization, subscription), answering("accepted")

        at_once(partial(work, delivery, transport), partial(MOVES["rotate"], delivery))

        (request,) = transport.requests
        assert len(request.headers["webhook-signature"].split()) in (1, 2)
        # As when the overlap is over.
        subscription.signing_secrets.exclude(expires_at=None).delete()


def test_a_replay_at_the_moment_of_the_last_attempt_is_refused_or_a_copy(
    organization: Organization, subscription: Subscription
) -> None:
    change(organization, subscription, retry_schedule=[])
    for _ in ROUNDS:
        delivery = fresh(organization, subscription)

        _, no = at_once(
            partial(work, delivery, answering("failed")), partial(refused, partial(replay, delivery))
        )
        settle()

        delivery.refresh_from_db()
        copies = Delivery.objects.filter(replay_of=delivery)
        assert delivery.state == State.EXHAUSTED
        assert [copy.state for copy in copies] == ([] if no else [State.DELIVERED])
        assert_settled()


def test_410s_in_two_workers_at_once_disable_once_and_tell_of_it_once(
    organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    watcher = subscribe(events=["subscription.disabled"])
    for number in ROUNDS:
        subscription = subscribe(events=["order.paid"])
        both = [fresh(organization, subscription) for _ in range(2)]

        at_once(*(partial(work, delivery, answering("gone")) for delivery in both))

        told = Event.objects.filter(type="subscription.disabled")
        assert told.count() == Notice.objects.count() == number + 1
        assert Delivery.objects.filter(subscription=watcher).count() == number + 1
        assert {d.state for d in Delivery.objects.filter(subscription=subscription)} == {State.HELD}
        Subscription.objects.filter(pk=subscription.pk).update(is_active=False)


def test_an_owner_who_deactivates_while_a_410_is_recorded_ends_what_there_is(
    organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    for _ in ROUNDS:
        subscription = subscribe(events=["order.paid"])
        answered, waiting = fresh(organization, subscription), fresh(organization, subscription)

        at_once(partial(work, answered, answering("gone")), partial(deactivate, waiting))

        assert {d.state for d in Delivery.objects.all()} == {State.CANCELLED}
        subscription.refresh_from_db()
        # The owner's word ends it either way; the service disabled it only if it was first.
        told = Event.objects.filter(type="subscription.disabled", created_at__gte=subscription.created_at)
        assert (not subscription.is_active, told.count()) == (True, int(subscription.disabled_at is not None))


def test_what_happens_while_it_is_enabled_and_recovered_is_never_left_held(
    organization: Organization, subscription: Subscription
) -> None:
    for _ in range(5):
        gone(organization, subscription)
        before = fresh(organization, subscription)
        recovered = Flag()

        goes_on = partial(happen_until, recovered, organization)
        at_once(goes_on, goes_on, partial(recover, organization, subscription, recovered))

        before.refresh_from_db()
        assert (before.state, before.reason) == (State.PENDING, "recovered")
        # Those that saw it disabled were committed before it was enabled, and went out with the others.
        assert not Delivery.objects.filter(state=State.HELD).exists()
        settle()


def happen_until(recovered: Flag, organization: Organization) -> None:
    while not recovered.is_set():
        happen(organization)
    happen(organization)


def recover(organization: Organization, subscription: Subscription, recovered: Flag) -> None:
    try:
        enable_and_recover(organization, subscription.pk)
    finally:
        recovered.set()


# --- Everything at once ---


class Weather:
    """What the receiver says: now this, now that."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = Lock()

    def __call__(self, _: OutgoingRequest) -> Answer | NoAnswer:
        with self._lock:
            return ANSWERS[self._random.choice(["accepted", "accepted", "failed", "silent", "gone"])]


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchall()[0][0])


def any_delivery(dice: random.Random, **wanted: Any) -> Delivery | None:
    ids = list(Delivery.objects.filter(**wanted).order_by("-id").values_list("id", flat=True)[:30])
    return Delivery.objects.select_related("organization").get(pk=dice.choice(ids)) if ids else None


def take_next(dice: random.Random, *, transport: Scripted) -> None:
    """A worker takes a message, which may be stale by now."""
    if delivery := any_delivery(dice, next_attempt_at__lte=Now()):
        work(delivery, transport, delivery.attempts + 1)


def do_to_one(move: Move, dice: random.Random, **wanted: Any) -> None:
    if delivery := any_delivery(dice, **wanted):
        refused(partial(move, delivery))


def toggle(organization: Organization, subscription: Subscription, dice: random.Random) -> None:
    change(organization, subscription, is_active=dice.random() < 0.7)


def set_secret(delivery: Delivery) -> object:
    return update(delivery, secret=new_standard_secret())


def recover_one(delivery: Delivery) -> object:
    return hold.recover_one(organization=delivery.organization, delivery_id=delivery.id)


@pytest.mark.parametrize("seed", [1])
def test_all_moves_at_once_deadlock_nobody_and_leave_nothing_stuck(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(requeue, "lane_depths", lambda: dict.fromkeys(Lane, 0))
    monkeypatch.setattr(queue, "send", lambda wake_ups: True)
    transport, before = Scripted(Weather(seed)), deadlocks()
    jobs: list[Job] = [
        *[partial(take_next, transport=transport)] * 3,
        *[lambda _: happen(organization)] * 2,
        partial(do_to_one, MOVES["cancel"], finished_at=None),
        *[partial(do_to_one, recover_one, state=State.HELD)] * 2,
        partial(do_to_one, MOVES["replay"], state__in=sorted(ENDED)),
        *[
            partial(do_to_one, move, subscription=subscription)
            for move in (MOVES["rotate"], MOVES["patch"], set_secret)
        ],
        *[partial(toggle, organization, subscription)] * 2,
        lambda _: refused(partial(enable_and_recover, organization, subscription.pk)),
        lambda _: requeue.requeue_once(),
    ]

    counts = all_day(jobs, seconds=2.5, seed=seed)

    assert deadlocks() == before
    assert min(counts) >= 1, counts
    settle()
    # Enabled, it may still have some that nobody has recovered; stopped by its owner, it has none.
    assert not Delivery.objects.filter(state=State.HELD, subscription__is_active=False).exists()
    enable_and_recover(organization, subscription.pk)
    settle()
    assert_settled()
    assert not Delivery.objects.filter(finished_at=None).exists()
    assert {d.attempts for d in Delivery.objects.exclude(claim_number__gte=F("attempts"))} == set()


def all_day(jobs: list[Job], *, seconds: float, seed: int) -> list[int]:
    """Each job again and again in a thread of its own; how often each was done. Their errors are raised."""
    ends = time.monotonic() + seconds

    def keep_on(job: Job, number: int) -> int:
        dice, done = random.Random(seed * 100 + number), 0
        while time.monotonic() < ends:
            job(dice)
            done += 1
        return done

    with ThreadPoolExecutor(len(jobs)) as pool:
        working: list[Future[int]] = [
            aside(pool, partial(keep_on, job, number)) for number, job in enumerate(jobs)
        ]
    return [one.result() for one in working]
