"""The life of deliveries against a small model: any order of events, answers, deaths and people's moves.

Hypothesis looks for a story after which the rows are not what tests/life_model.py says, and prints
the shortest. Derandomized, so that a run tells of the change and not of luck; to look for new
stories, set `derandomize=False` and raise `max_examples`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from django.db.models import Count, Q
from django.db.models.functions import Now
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pytest_django import Settings

from delivery import health, hold, queue, requeue, services
from delivery.claim import Claimed, claim
from delivery.deliver import deliver
from delivery.models import Attempt, Delivery
from delivery.queue import WakeUp
from delivery.recorder import record
from delivery.replays import services as replays
from delivery.short_waits import ShortWaits
from delivery.states import ENDED, OPEN, Lane, State
from subscriptions import cache
from subscriptions.models import Organization
from subscriptions.services import (
    organization_create,
    subscription_create,
    subscription_delete,
    subscription_update,
)
from tests.factories import body_of
from tests.integration.conftest import _delete_all, _filled_tables
from tests.integration.moves import NO_REQUEST, refused
from tests.integration.test_outbox import CALLBACK, happen
from tests.integration.test_recorder import ACCEPTED, FAILED, GIVEN_UP, NOT_ALLOWED, outcome_of
from tests.life_model import ALLOWED, CLAIMS_LOST_MAX, SCHEDULE, Life, Listener, Told
from tests.scripted import ANSWERS, Scripted
from webhooks_project.errors import Conflict

ANSWER = st.sampled_from(sorted(ANSWERS))
#: what the requeuer published
WOKEN: list[WakeUp] = []
# That of outcome_of(): a callback's URL is what its replays are compared by.
URL = "http://127.0.0.1/hook"
CALLED_BACK = replace(CALLBACK, url=URL, retry_schedule=SCHEDULE)
INDEX, NUMBER = st.integers(0, 1), st.integers(0, 199)
RECORDED = {"accepted": ACCEPTED, "refused": NOT_ALLOWED, "gone": {"state": State.HELD, "status_code": 410}}
RECORDED["gone"] |= {"reason": "gone"}
#: edges that some story took
WALKED: set[tuple[State, State]] = set()


def some(wanted: Callable[[Told], bool]) -> Callable[["Days"], bool]:
    """For rules that mean something only then: else most steps of a story would change nothing."""
    return lambda days: any(wanted(told) for told in days.life.deliveries.values())


def after_some_work(days: "Days") -> bool:
    """People stop things only now and then, or nothing would ever get far."""
    return days.work >= 6


class Days(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.organization: Organization = organization_create(name="Acme")[0]
        self.transport = Scripted(lambda _: ANSWERS["accepted"])
        self.life = Life(listeners=[self.subscribe(["*"]), self.subscribe(["order.paid"])])
        self.claims: list[Claimed] = []
        #: what workers did since a person stopped something
        self.work = 0
        self.looked = True

    def teardown(self) -> None:
        _delete_all(sorted(_filled_tables()))
        cache.clear()

    def subscribe(self, events: list[str]) -> Listener:
        values = {"name": "Hook", "url": URL, "events": events, "retry_schedule": [*SCHEDULE]}
        return Listener(subscription_create(organization=self.organization, values=values)[0].pk)

    def pick(self, number: int, wanted: Callable[[Told], bool]) -> Told | None:
        """One of those for which the move means something; every fourth time any."""
        deliveries = list(self.life.deliveries.values())
        found = [told for told in deliveries if wanted(told) or number % 4 == 0]
        return found[number // 4 % len(found)] if found else None

    # --- Events and workers ---

    @precondition(lambda self: sum(not told.ended for told in self.life.deliveries.values()) < 3)
    @rule(event_type=st.sampled_from(["order.paid", "order.shipped"]), called=st.booleans())
    def something_happens(self, event_type: str, called: bool) -> None:
        listeners = self.life.listeners[: 2 if event_type == "order.paid" else 1]
        wanted: list[Listener | None] = [listener for listener in listeners if listener.active]
        wanted += [None] * called
        event = happen(self.organization, CALLED_BACK if called else None, event_type=event_type)
        made = {row.subscription_id: row for row in event.deliveries.select_related("body")}
        by_key = {listener.pk if listener else None: listener for listener in wanted}
        assert set(made) == set(by_key)
        for key, listener in by_key.items():
            self._told(made[key], listener)

    def _told(self, row: Delivery, listener: Listener | None) -> None:
        told = Told(row.id, row.event_id, body_of(row), listener)
        if listener is not None and listener.disabled:
            told.move(State.HELD)
        told.before = told.state
        self.life.deliveries[row.id] = told

    @precondition(some(lambda told: told.state in OPEN))
    @rule(number=NUMBER, answer=ANSWER, off=st.sampled_from([0, 0, 0, 1, -1]))
    def a_wake_up_comes(self, number: int, answer: str, off: int) -> None:
        """`off`: it is about another attempt than the one that is due."""
        told = self.pick(number, lambda told: told.state in OPEN)
        if told is not None:
            self._wake(told, answer, off)

    @precondition(some(lambda told: told.state is State.WAITING))
    @rule(number=NUMBER, answer=ANSWER)
    def a_wait_is_over(self, number: int, answer: str) -> None:
        told = self.pick(number, lambda told: told.state is State.WAITING)
        if told is None:
            return
        if told.state is State.WAITING:
            Delivery.objects.filter(pk=told.id).update(next_attempt_at=Now() - timedelta(seconds=1))
            told.due = True
        self._wake(told, answer, 0)

    def _wake(self, told: Told, answer: str, off: int) -> None:
        self.work, self.looked = self.work + 1, False
        self.transport.requests.clear()
        self.transport.answer = lambda _: ANSWERS[answer]
        number = told.attempts + 1 + off
        short_waits = ShortWaits(longest_seconds=60, most=1000)
        in_background = Delivery.objects.filter(pk=told.id, lane=Lane.REPLAY).exists()

        sent = self.life.wake_up(told, answer) if off == 0 else False
        again = deliver(told.id, number, transport=self.transport, short_waits=short_waits)

        assert [request.body for request in self.transport.requests] == [told.body] * sent
        # A wait of two minutes is the row's, and so is that of a replay or of what was recovered.
        short = sent and told.state is State.WAITING and answer != "asked to wait" and not in_background
        assert (again and again.attempt) == (number + 1 if short else None)

    @precondition(some(lambda told: told.claimable))
    @rule(number=NUMBER, dies=st.booleans())
    def a_worker_claims(self, number: int, dies: bool) -> None:
        """It dies, and its lease ends; or it records later, if ever."""
        told = self.pick(number, lambda told: told.claimable)
        if told is None:
            return
        self.work, self.looked = self.work + 1, False
        possible, sends = told.claimable, told.sendable
        claimed = claim(told.id, told.attempts + 1)
        assert (claimed is not None) == possible
        if claimed is not None:
            told.claim()
            self.claims += [claimed] * sends
        if dies:
            self._end_lease(told)

    @precondition(lambda self: self.claims)
    @rule(number=NUMBER, answer=ANSWER, twice=st.booleans())
    def a_worker_records(self, number: int, answer: str, twice: bool) -> None:
        """Whatever has become of its lease and its delivery since; `twice`: it did not see the commit."""
        claimed = self.claims.pop(number % len(self.claims))
        told = self.life.deliveries[claimed.id]
        self.work, self.looked = self.work + 1, False
        failed = FAILED if claimed.attempt <= len(SCHEDULE) else GIVEN_UP
        values = GIVEN_UP if answer == "gone" and told.listener is None else RECORDED.get(answer, failed)
        outcome = outcome_of(claimed, **values)

        for _ in range(1 + twice):
            (health.record_gone if health.is_gone(outcome) else record)(outcome)

        taken = self.life.record(told, answer, claim=claimed.claim_number, attempt=claimed.attempt)
        assert Attempt.objects.get(pk=outcome.id).late == (not taken)

    @precondition(some(lambda told: told.leased))
    @rule(number=NUMBER)
    def a_lease_ends(self, number: int) -> None:
        told = self.pick(number, lambda told: told.leased)
        if told is not None:
            self._end_lease(told)

    def _end_lease(self, told: Told) -> None:
        leased = Delivery.objects.filter(pk=told.id, lease_until__isnull=False)
        leased.update(lease_until=Now() - timedelta(seconds=1))
        told.leased = False

    @precondition(lambda self: not self.looked)
    @rule()
    def the_requeuer_looks(self) -> None:
        """It finds all that could be claimed and nothing else: nothing is lost, nobody is woken in vain."""
        Delivery.objects.filter(nudged_at__isnull=False).update(nudged_at=Now() - timedelta(days=1))
        WOKEN.clear()
        self.looked = True

        requeue.requeue_once()

        found = {(wake_up.delivery_id, wake_up.attempt) for wake_up in WOKEN}
        assert found == {(o.id, o.attempts + 1) for o in self.life.deliveries.values() if o.claimable}

    # --- People ---

    @precondition(after_some_work)
    @rule(index=INDEX, final=st.booleans())
    def its_owner_stops_it(self, index: int, final: bool) -> None:
        """Deactivates it, or deletes it and makes another one."""
        self.work = 0
        listener = self.life.listeners[index]
        if listener.active or final:
            self.life.stop(listener)
        if final:
            subscription_delete(organization=self.organization, subscription_id=listener.pk)
            self.life.listeners[index] = self.subscribe(["order.paid"] if index else ["*"])
        else:
            self._update(listener, is_active=False)

    @precondition(lambda self: not all(listener.listens for listener in self.life.listeners))
    @rule(index=INDEX)
    def its_owner_activates_it(self, index: int) -> None:
        self._update(self.life.listeners[index], is_active=True)
        self.life.enable(self.life.listeners[index])

    def _update(self, listener: Listener, **values: Any) -> None:
        subscription_update(organization=self.organization, subscription_id=listener.pk, values=values)

    @precondition(some(lambda told: told.state is State.HELD))
    @rule(index=INDEX, enables=st.booleans())
    def its_owner_recovers_what_was_held(self, index: int, enables: bool) -> None:
        listener = self.life.listeners[index]
        if enables:
            self.its_owner_activates_it(index)
        since = timezone.now() - timedelta(days=1)
        held = [told for told in self.life.of(listener) if told.state is State.HELD]

        def move() -> None:
            found = hold.recover(organization=self.organization, subscription_id=listener.pk, since=since)
            assert found == len(held)

        assert refused(move) == listener.disabled
        for told in [] if listener.disabled else held:
            told.recover()

    @precondition(some(lambda told: told.state is State.HELD))
    @rule(number=NUMBER)
    def someone_recovers_one(self, number: int) -> None:
        told = self.pick(number, lambda told: told.state is State.HELD)
        if told is None:
            return
        possible = told.state is State.HELD and not (told.listener and told.listener.disabled)
        id_ = told.id
        no = refused(lambda: hold.recover_one(organization=self.organization, delivery_id=id_))
        assert no != possible
        if possible:
            told.recover()

    @precondition(after_some_work)
    @rule(number=NUMBER)
    def someone_cancels_it(self, number: int) -> None:
        told = self.pick(number, lambda told: told.leased)
        if told is None:
            return
        self.work = 0
        possible = not told.ended or told.state is State.CANCELLED
        id_ = told.id
        assert refused(lambda: services.cancel(organization=self.organization, delivery_id=id_)) != possible
        if not told.ended:
            told.move(State.CANCELLED)

    @precondition(lambda self: self.work >= 2 and some(lambda told: told.ended)(self))
    @rule(number=NUMBER, new_id=st.booleans())
    def someone_replays_it(self, number: int, new_id: bool) -> None:
        told = self.pick(number, lambda told: told.ended)
        if told is None:
            return
        self.work -= 2
        possible = self.life.replayable(told)
        try:
            copy = replays.replay(organization=self.organization, delivery_id=told.id, new_id=new_id)
        except Conflict:
            assert not possible
            return
        assert possible
        self._told(copy, told.listener)
        assert self.life.deliveries[copy.id].body == told.body

    @precondition(lambda self: after_some_work(self) and some(lambda told: told.state is State.HELD)(self))
    @rule()
    def the_retention_is_over(self) -> None:
        held = [told for told in self.life.deliveries.values() if told.state is State.HELD]
        self.work = 0
        assert hold.cancel_forgotten() == len(held)
        for told in held:
            told.move(State.CANCELLED)

    # --- What holds at any time ---

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        rows = {row.id: row for row in Delivery.objects.select_related("body")}
        assert set(rows) == set(self.life.deliveries)
        for id_, told in self.life.deliveries.items():
            row = rows[id_]
            assert (row.state, row.attempts, row.claim_number) == (told.state, told.attempts, told.claims)
            assert (row.finished_at is not None) == told.ended == (row.state in ENDED)
            assert (row.next_attempt_at is None) == (told.ended or row.state == State.HELD)
            assert row.body is not None
            assert bytes(row.body.body) == told.body
            if told.before is not told.state:
                assert (told.before, told.state) in ALLOWED
                WALKED.add((told.before, told.state))
            told.before = told.state

    @invariant()
    def the_log_agrees(self) -> None:
        counted = Attempt.objects.values("delivery_id").annotate(
            requests=Count("id", filter=Q(late=False) & ~Q(error_class__in=NO_REQUEST)),
            taken=Count("id", filter=Q(late=False, success=True)),
            accepted=Count("id", filter=Q(success=True)),
        )
        log = {row["delivery_id"]: row for row in counted}
        for id_, told in self.life.deliveries.items():
            row = log.get(id_, {"requests": 0, "taken": 0, "accepted": 0})
            assert (row["requests"], row["accepted"]) == (told.attempts, told.accepted)
            assert row["taken"] == (told.state is State.DELIVERED)


BOUNDED = hypothesis.settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def empty_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requeuer finds no message in any lane, and publishes to a list."""

    def send(wake_ups: Sequence[WakeUp]) -> bool:
        WOKEN.extend(wake_ups)
        return True

    monkeypatch.setattr(requeue, "lane_depths", lambda: dict.fromkeys(Lane, 0))
    monkeypatch.setattr(queue, "send", send)


# It takes 5 s, but up to 5 minutes to find the shortest of the stories that end wrong.
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("empty_queues")
def test_any_story_ends_as_the_model_says(settings: Settings) -> None:
    settings.DELIVERY_CLAIMS_LOST_MAX = CLAIMS_LOST_MAX
    # All that is held is older than that.
    settings.DELIVERY_HELD_RETENTION_DAYS = -1

    run_state_machine_as_test(Days, settings=BOUNDED)

    # Stories that only ever begin would prove nothing.
    assert len(WALKED) >= 12
