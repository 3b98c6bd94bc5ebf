"""People's moves against the machine's: each has one outcome, whether a delivery waits or is on its way.

docs/reliability.md shows the outcomes as a table; test_moves_at_once.py has both at the same moment.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from delivery.deliver import Again
from delivery.models import Delivery
from delivery.sender import Transport
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.integration.moves import MOVES, NEW_PATH, aside, assert_settled, enable_and_recover, refused, work
from tests.integration.test_deliver import make_due
from tests.integration.test_outbox import happen
from tests.receiver import Received, Receiver, Reply

STOPPED = {
    "cancel": (State.CANCELLED, "cancelled_by_request"),
    "deactivate": (State.CANCELLED, "subscription_deactivated"),
    "delete": (State.CANCELLED, "subscription_deleted"),
    "disable": (State.HELD, "subscription_disabled"),
}
GOES_ON = ("rotate", "replay", "patch")


@pytest.fixture
def delivery(organization: Organization, subscribe: Callable[..., Subscription]) -> Delivery:
    """Due for the first of three attempts."""
    subscribe(retry_schedule=[30.0, 30.0])
    return happen(organization).deliveries.get()


@pytest.fixture
def waiting(delivery: Delivery, transport: Transport, receiver: Receiver) -> Delivery:
    """Has failed once."""
    receiver.reply(500, 204)
    work(delivery, transport)
    delivery.refresh_from_db()
    assert delivery.state == State.WAITING
    return delivery


def standing(delivery: Delivery) -> tuple[str, str]:
    delivery.refresh_from_db()
    return delivery.state, delivery.reason


def signatures(request: Received) -> int:
    return len(str(request.headers["webhook-signature"]).split())


def next_attempt(delivery: Delivery, transport: Transport) -> None:
    """Its wait is over, and a worker gets the message."""
    delivery.refresh_from_db()
    if delivery.next_attempt_at is not None:
        make_due(delivery)
    work(delivery, transport, delivery.attempts + 1)


@pytest.mark.parametrize("move", STOPPED)
def test_a_move_that_stops_a_waiting_delivery_counts_at_once(
    waiting: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    MOVES[move](waiting)

    found = standing(waiting)
    next_attempt(waiting, transport)
    assert found == standing(waiting) == STOPPED[move]
    assert len(receiver.requests) == 1
    assert_settled()


@pytest.mark.parametrize("move", GOES_ON)
def test_any_other_move_counts_from_the_next_attempt_on(
    waiting: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    no = refused(lambda: MOVES[move](waiting))

    between = standing(waiting)
    next_attempt(waiting, transport)
    first, second = receiver.requests
    assert no == (move == "replay")
    assert (between[0], standing(waiting)) == (State.WAITING, (State.DELIVERED, "accepted"))
    assert (second.body, second.headers["webhook-id"]) == (first.body, first.headers["webhook-id"])
    expect(second, move)
    assert (first.path, signatures(first)) == ("/hook", 1)
    assert_settled()


def expect(request: Received, move: str) -> None:
    """An attempt after the move."""
    assert request.path == (NEW_PATH if move == "patch" else "/hook")
    assert request.headers["X-New"] == ("1" if move == "patch" else None)
    # The old secret signs beside the new one.
    assert signatures(request) == (2 if move == "rotate" else 1)


@contextmanager
def on_its_way(
    delivery: Delivery, transport: Transport, receiver: Receiver, status: int
) -> Iterator[Future[Again | None]]:
    """Its request is open until the block ends; then the receiver answers it with the status."""
    answer = Event()
    receiver.reply(Reply(status, before=lambda _: _wait(answer)), 204)
    with ThreadPoolExecutor(1) as pool:
        working = aside(pool, lambda: work(delivery, transport))
        try:
            receiver.wait_for(1)
            yield working
            assert not working.done()
        finally:
            answer.set()


def _wait(answer: Event) -> None:
    assert answer.wait(20)


@pytest.mark.parametrize("move", MOVES)
def test_a_request_on_its_way_that_is_accepted_is_delivered_whatever_was_done_meanwhile(
    delivery: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    with on_its_way(delivery, transport, receiver, 204) as working:
        no = refused(lambda: MOVES[move](delivery))
        during = standing(delivery)[0]

    again = working.result()
    assert no == (move == "replay")
    assert during == (State.CANCELLED if move in ("cancel", "deactivate", "delete") else State.PENDING)
    assert again is None
    assert standing(delivery) == (State.DELIVERED, "accepted")
    assert [(one.path, signatures(one)) for one in receiver.requests] == [("/hook", 1)]
    assert_settled()


@pytest.mark.parametrize("move", STOPPED)
def test_a_request_on_its_way_that_fails_is_the_last_one_after_a_stop(
    delivery: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    with on_its_way(delivery, transport, receiver, 500) as working:
        MOVES[move](delivery)

    again = working.result()
    # Disabled, it is found out by the next worker.
    assert (again is not None) == (move == "disable")
    next_attempt(delivery, transport)
    assert standing(delivery) == STOPPED[move]
    assert (delivery.attempts, delivery.last_status_code) == (1, 500)
    assert len(receiver.requests) == 1
    assert_settled()


@pytest.mark.parametrize("move", GOES_ON)
def test_a_request_on_its_way_is_what_it_was_and_its_retry_is_what_the_move_made_of_it(
    delivery: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    with on_its_way(delivery, transport, receiver, 500) as working:
        refused(lambda: MOVES[move](delivery))

    assert working.result() is not None
    delivery.refresh_from_db()
    assert (delivery.state, delivery.url) == (State.WAITING, receiver.url("/hook"))
    next_attempt(delivery, transport)
    first, second = receiver.requests
    assert (first.path, first.headers["X-New"], signatures(first)) == ("/hook", None, 1)
    expect(second, move)
    assert second.body == first.body
    assert standing(delivery) == (State.DELIVERED, "accepted")
    assert_settled()


@pytest.mark.parametrize("move", ["cancel", "deactivate", "delete"])
def test_a_410_for_a_delivery_that_was_stopped_meanwhile_leaves_it_stopped(
    delivery: Delivery, transport: Transport, receiver: Receiver, move: str
) -> None:
    with on_its_way(delivery, transport, receiver, 410) as working:
        MOVES[move](delivery)

    working.result()
    assert standing(delivery) == STOPPED[move]
    subscription = Subscription.objects.get()
    # Who has stopped the subscription already is not told that the service did.
    assert (subscription.disabled_at is not None) == (move == "cancel")
    assert_settled()


def test_what_was_held_while_it_was_on_its_way_goes_out_once_its_owner_recovers_it(
    organization: Organization, delivery: Delivery, transport: Transport, receiver: Receiver
) -> None:
    with on_its_way(delivery, transport, receiver, 500):
        MOVES["disable"](delivery)
    next_attempt(delivery, transport)
    assert standing(delivery)[0] == State.HELD

    # Also the one that was answered 410.
    assert enable_and_recover(organization, delivery.subscription_id or 0) == 2

    next_attempt(delivery, transport)
    assert standing(delivery) == (State.DELIVERED, "accepted")
    assert delivery.attempts == 2


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("state", [State.DELIVERED, State.EXHAUSTED])
def test_no_move_changes_what_has_ended(
    delivery: Delivery, transport: Transport, receiver: Receiver, move: str, state: State
) -> None:
    Subscription.objects.update(retry_schedule=[])
    receiver.reply(204 if state is State.DELIVERED else 500)
    work(delivery, transport)
    before = Delivery.objects.filter(pk=delivery.pk).values()[0]

    no = refused(lambda: MOVES[move](delivery))

    assert no == (move == "cancel")
    assert before["state"] == state
    assert Delivery.objects.filter(pk=delivery.pk).values()[0] == before
