"""Replaying all that matches a filter: what is sent again, what is not, and what survives a crash."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F
from django.utils import timezone

from delivery.deliver import Again
from delivery.models import Delivery, Replay
from delivery.replays import chunks as replay_chunks
from delivery.replays import services as replays
from delivery.replays.filter import ReplayFilter
from delivery.replays.model import ReplayState
from delivery.replays.plan import NewReplay, forecast
from delivery.states import ENDED, Lane, State
from subscriptions.ids import first_uuid7
from subscriptions.models import Organization, Subscription
from subscriptions.services import subscription_update
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_outbox import CALLBACK, happen
from tests.receiver import Receiver
from webhooks_project.errors import NotFound

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


def ended(organization: Organization, *states: State, **event: Any) -> list[Delivery]:
    """Deliveries of an event each, in these states."""
    made = []
    for state in states or (State.EXHAUSTED,):
        delivery = happen(organization, **event).deliveries.get()
        end(delivery, state=state)
        made.append(delivery)
    return made


def end(*deliveries: Delivery, state: State = State.EXHAUSTED) -> None:
    finished_at = timezone.now() if state in ENDED else None
    rows = Delivery.objects.filter(pk__in=[delivery.pk for delivery in deliveries])
    rows.update(state=state, finished_at=finished_at, next_attempt_at=None)


def wanted(organization: Organization | None, **values: Any) -> NewReplay:
    how = {name: values.pop(name) for name in list(values) if name not in ReplayFilter.__dataclass_fields__}
    return NewReplay(organization=organization, filter=ReplayFilter(**values), **how)


def start(organization: Organization | None, **values: Any) -> Replay:
    return replays.replay_create(wanted(organization, **values), count_seconds=None)[0]


def through(*running: Replay) -> None:
    """All their chunks, as if the time that the rate asks for had gone by."""
    for _ in range(50):
        pass_time(3600)
        replay_chunks.carry_on()
        for replay in running:
            replay.refresh_from_db()
        if all(replay.state != ReplayState.RUNNING for replay in running):
            return
    raise AssertionError("it does not come to an end")


def pass_time(seconds: float) -> None:
    Replay.objects.update(next_chunk_at=F("next_chunk_at") - timedelta(seconds=seconds))


def replayed() -> list[UUID]:
    """The originals of all replays, as often as they were replayed."""
    return sorted(Delivery.objects.exclude(replay_of=None).values_list("replay_of_id", flat=True))


def ids(*deliveries: Delivery) -> list[UUID]:
    return sorted(delivery.pk for delivery in deliveries)


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe()


def test_what_failed_is_sent_again_with_the_same_bytes_and_counted(
    organization: Organization,
    subscription: Subscription,
    attempt: Attempting,
    receiver: Receiver,
    wake_ups: CollectedWakeUps,
) -> None:
    receiver.reply(500)
    (old,) = happen(organization).deliveries.all()
    attempt(old)
    end(old)
    wake_ups.clear()

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)
    copy = Delivery.objects.get(replay_of=old)
    attempt(copy)

    assert (replay.state, replay.matched, replay.examined, replay.replayed) == ("done", 1, 1, 1)
    assert replay.finished_at is not None
    assert wake_ups == [(copy.id, 1, Lane.REPLAY)]
    first, second = receiver.at()
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


def test_by_default_everything_but_the_delivered_is_wanted(
    organization: Organization, subscription: Subscription
) -> None:
    by_state = dict(zip(State, ended(organization, *State), strict=True))

    through(start(organization, subscription_id=subscription.pk))

    assert replayed() == ids(by_state[State.EXHAUSTED], by_state[State.CANCELLED], by_state[State.BLOCKED])


def test_a_filter_finds_what_all_its_parts_match(organization: Organization, subscribe: Subscribe) -> None:
    paid, refunded = subscribe(events=["order.paid"]), subscribe(events=["order.refunded"])
    old, new = ended(organization, State.EXHAUSTED, State.BLOCKED, subject="run_1")
    (other,) = ended(organization, event_type="order.refunded")
    long_ago = timezone.now() - timedelta(days=7)
    # Its key tells its time, too.
    first = first_uuid7(int(long_ago.timestamp() * 1000))
    Delivery.objects.filter(pk=old.pk).update(id=first, created_at=long_ago, last_status_code=503)
    old.pk = first
    yesterday = timezone.now() - timedelta(days=1)
    expected: list[tuple[dict[str, Any], list[Delivery]]] = [
        ({"subscription_id": paid.pk}, [old, new]),
        ({"subscription_id": refunded.pk}, [other]),
        ({"event_types": ("order.refunded", "order.none")}, [other]),
        ({"states": (State.BLOCKED,)}, [new]),
        ({"since": yesterday}, [new, other]),
        ({"until": yesterday}, [old]),
        ({"since": yesterday, "subscription_id": paid.pk}, [new]),
        ({"since": long_ago, "until": yesterday}, [old]),
        ({"until": long_ago}, []),
        ({"answers": ("5xx",)}, [old]),
        ({"answers": ("none", "4xx")}, [new, other]),
        ({"run_id": "run_1"}, [old, new]),
        ({"delivery_ids": (old.pk, other.pk)}, [old, other]),
        ({"limit": 2, "states": tuple(ENDED)}, [old, new]),
    ]
    for values, found in expected:
        assert forecast(wanted(organization, **values), count_seconds=None).replayable == len(found), values
        through(start(organization, **values))
        assert replayed() == ids(*found), values
        Delivery.objects.exclude(replay_of=None).delete()


def test_what_has_succeeded_since_is_not_sent_again_unless_asked(
    organization: Organization, subscription: Subscription
) -> None:
    since_delivered, failed = ended(organization, State.EXHAUSTED, State.EXHAUSTED)
    end(replays.replay(organization=organization, delivery_id=since_delivered.pk), state=State.DELIVERED)

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert replayed() == ids(since_delivered, failed)  # the one by hand, and the other
    assert replay.skipped == {"delivered_since": 1}
    again = start(organization, delivery_ids=(since_delivered.pk,), include_delivered=True)
    through(again)
    assert (again.replayed, again.skipped) == (1, {})


def test_naming_delivered_asks_for_it_and_each_event_goes_once(
    organization: Organization, subscription: Subscription
) -> None:
    (first,) = ended(organization, State.DELIVERED)
    end(replays.replay(organization=organization, delivery_id=first.pk), state=State.DELIVERED)

    replay = start(organization, states=(State.DELIVERED,))
    through(replay)

    assert replay.include_delivered
    assert replay.skipped == {"repeated": 1}
    assert replayed() == [first.pk, first.pk]


def test_include_delivered_alone_means_everything_that_has_ended(
    organization: Organization, subscription: Subscription
) -> None:
    rows = ended(organization, *sorted(ENDED))

    through(start(organization, subscription_id=subscription.pk, include_delivered=True))

    assert replayed() == ids(*rows)


def test_two_replays_one_after_the_other_send_once(
    organization: Organization, subscription: Subscription
) -> None:
    (old,) = ended(organization)

    through(start(organization, states=(State.EXHAUSTED,)))
    second = start(organization, states=(State.EXHAUSTED,))
    through(second)

    assert replayed() == [old.pk]
    assert second.skipped == {"replay_open": 1}


def test_a_replay_that_failed_may_be_replayed_and_its_original_is_not_doubled(
    organization: Organization, subscription: Subscription
) -> None:
    (old,) = ended(organization)
    through(start(organization, states=(State.EXHAUSTED,)))
    end(*Delivery.objects.exclude(replay_of=None))

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert (replay.replayed, replay.skipped) == (1, {"repeated": 1})
    assert replayed() == [old.pk, old.pk]


def test_a_replay_never_replays_its_own_copies(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 3)
    replay = start(organization, states=(State.EXHAUSTED,), rate_per_second=1)

    for _ in range(20):
        pass_time(3600)
        replay_chunks.advance(replay.pk)
        # They fail before the next chunk.
        end(*Delivery.objects.exclude(replay_of=None))

    assert replayed() == ids(*rows)
    replay.refresh_from_db()
    assert (replay.state, replay.examined) == ("done", 3)


def test_the_same_event_for_two_targets_is_two_matters(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    subscribe()
    event = happen(organization, CALLBACK)
    end(*event.deliveries.all())
    delivered = event.deliveries.filter(subscription__isnull=False).first()
    assert delivered is not None
    end(delivered, state=State.DELIVERED)

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert replayed() == ids(*event.deliveries.filter(state=State.EXHAUSTED))
    assert replay.replayed == 2


def test_a_callback_is_delivered_when_its_url_was_reached(organization: Organization) -> None:
    event = happen(organization, CALLBACK)
    (old,) = event.deliveries.all()
    end(old)
    copy = replays.replay(organization=organization, delivery_id=old.pk)
    end(copy, state=State.DELIVERED)
    elsewhere = replays.replay(organization=organization, delivery_id=old.pk)
    end(elsewhere)
    other = replace(CALLBACK, url="http://127.0.0.1/other")
    Delivery.objects.filter(pk=elsewhere.pk).update(url=other.url, callback=other.as_row())

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert replay.skipped == {"delivered_since": 1}
    assert Delivery.objects.get(replay_of=elsewhere).url == other.url


def test_a_stopped_subscription_gets_nothing(organization: Organization, subscription: Subscription) -> None:
    ended(organization)
    values = {"is_active": False}
    subscription_update(organization=organization, subscription_id=subscription.pk, values=values)

    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    assert (replayed(), replay.skipped) == ([], {"subscription_stopped": 1})


def test_test_events_and_single_attempts_are_replayed_only_by_their_ids(
    organization: Organization, subscription: Subscription
) -> None:
    test, single, plain = ended(organization, *[State.EXHAUSTED] * 3)
    Delivery.objects.filter(pk=test.pk).update(is_test=True)
    Delivery.objects.filter(pk=single.pk).update(once=True)

    through(start(organization, subscription_id=subscription.pk))
    assert replayed() == [plain.pk]

    through(start(organization, delivery_ids=(test.pk, single.pk)))
    assert replayed() == ids(test, single, plain)


def test_new_ids_give_each_copy_one_of_its_own(
    organization: Organization, subscription: Subscription
) -> None:
    rows = ended(organization, State.EXHAUSTED, State.EXHAUSTED)

    through(start(organization, states=(State.EXHAUSTED,), new_ids=True))

    found = set(Delivery.objects.values_list("webhook_id", flat=True))
    assert len(found) == 4
    assert {row.webhook_id for row in rows} < found


def test_another_organizations_deliveries_are_out_of_reach_but_for_the_operator(
    organization: Organization, other_organization: Organization, subscription: Subscription
) -> None:
    (old,) = ended(organization)

    through(start(other_organization, states=(State.EXHAUSTED,)))
    through(start(other_organization, delivery_ids=(old.pk,)))
    with pytest.raises(NotFound):
        start(other_organization, subscription_id=subscription.pk)
    assert replayed() == []

    through(start(None, states=(State.EXHAUSTED,)))
    assert replayed() == [old.pk]
