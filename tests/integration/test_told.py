"""An owner is told that a subscription fails, and that it has recovered: once each, and not by itself."""

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery import failing, health
from delivery.deliver import Again
from delivery.fan_out import chunks as fan_out
from delivery.models import Delivery, Event
from delivery.recorder import Outcome, record
from subscriptions.event_types import DisabledReason
from subscriptions.models import Notice, Organization, Subscription
from subscriptions.services import subscription_update
from tests.factories import at_once
from tests.integration.test_claim import claimed_from
from tests.integration.test_deliver import make_due
from tests.integration.test_outbox import happen
from tests.integration.test_queries import CLAIM, RECORD, statements
from tests.integration.test_recorder import ACCEPTED, FAILED, outcome_of
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]

FAILING, RECOVERED = "subscription.failing", "subscription.recovered"
LONG_ENOUGH = timedelta(minutes=11)


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe(events=["order.paid"], retry_schedule=[0.0, 0.0])


@pytest.fixture
def watcher(subscribe: Subscribe, receiver: Receiver) -> Subscription:
    return subscribe(name="Watcher", events=[FAILING, RECOVERED], url=receiver.url("/told"))


def told() -> list[str]:
    return list(
        Event.objects.filter(type__startswith="subscription.").order_by("id").values_list("type", flat=True)
    )


def failed_for(subscription: Subscription, ago: timedelta = LONG_ENOUGH) -> None:
    Subscription.objects.filter(pk=subscription.pk).update(failing_since=Now() - ago)


@pytest.fixture
def failing_one(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> Subscription:
    """Its owner was told."""
    failed_for(subscription)
    fail(organization, receiver, attempt, 3)
    assert told() == [FAILING]
    return subscription


def fail(
    organization: Organization, receiver: Receiver, attempt: Attempting, times: int, status: int = 500
) -> None:
    """So many deliveries fail once each."""
    receiver.always(status)
    for _ in range(times):
        attempt(happen(organization).deliveries.get())


def exhaust(organization: Organization, receiver: Receiver, attempt: Attempting) -> None:
    """A delivery fails until its schedule is used up."""
    receiver.always(500)
    delivery = happen(organization).deliveries.get()
    for number in (1, 2, 3):
        make_due(delivery)
        attempt(delivery, number)


def succeed(organization: Organization, receiver: Receiver, attempt: Attempting) -> None:
    fail(organization, receiver, attempt, 1, status=204)


def test_failing_is_told_once_by_event_and_mail(
    organization: Organization,
    watcher: Subscription,
    subscription: Subscription,
    receiver: Receiver,
    attempt: Attempting,
) -> None:
    fail(organization, receiver, attempt, 3)
    assert told() == []
    failed_for(subscription)

    fail(organization, receiver, attempt, 4)

    assert told() == [FAILING]
    delivery = Delivery.objects.get(event__type=FAILING)
    assert delivery.subscription_id == watcher.pk
    body = delivery.kept_body()
    assert body is not None
    data = json.loads(bytes(body.body))["data"]
    subscription.refresh_from_db()
    assert subscription.failing_since is not None
    assert data == {
        "subscription_id": subscription.pk,
        "name": "Hook",
        "url": subscription.url,
        "failing_since": subscription.failing_since.isoformat(),
        "last_status_code": 500,
        "last_error_class": "http_status",
    }
    mail = Notice.objects.get()
    assert (mail.address, mail.subject) == ("ops@acme.example", "Webhook 'Hook' is failing")
    assert "Its last attempt: answered 500." in mail.text


@pytest.mark.parametrize(("times", "minutes"), [(2, 11), (10, 9)])
def test_too_few_failures_or_too_short_a_time_are_not_told(
    organization: Organization,
    subscription: Subscription,
    receiver: Receiver,
    attempt: Attempting,
    times: int,
    minutes: float,
) -> None:
    failed_for(subscription, timedelta(minutes=minutes))

    fail(organization, receiver, attempt, times - 1)

    assert (told(), Notice.objects.count()) == ([], 0)


def test_the_first_exhausted_delivery_is_told_at_once(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    exhaust(organization, receiver, attempt)

    assert told() == [FAILING]


def test_the_first_success_after_it_is_told_once(
    organization: Organization,
    watcher: Subscription,
    failing_one: Subscription,
    receiver: Receiver,
    attempt: Attempting,
) -> None:
    for _ in range(3):
        succeed(organization, receiver, attempt)

    assert told() == [FAILING, RECOVERED]
    failing_one.refresh_from_db()
    assert (failing_one.failing_since, failing_one.failing_told_at) == (None, None)
    assert Delivery.objects.get(event__type=RECOVERED).subscription_id == watcher.pk
    assert [mail.subject for mail in Notice.objects.order_by("id")][1:] == ["Webhook 'Hook' has recovered"]


def test_a_recovery_from_what_nobody_was_told_of_is_not_told(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    fail(organization, receiver, attempt, 2)

    succeed(organization, receiver, attempt)

    assert told() == []


@pytest.mark.parametrize("at_once_max", [100, 0])
def test_it_is_never_told_through_the_one_that_fails_nor_to_all_events(
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Attempting,
    settings: Settings,
    at_once_max: int,
) -> None:
    """Neither at once nor by the workers, to whom many recipients are left."""
    own = subscribe(events=["order.paid", FAILING, RECOVERED])
    subscribe(name="All", events=["*"], url=receiver.url("/all"))
    watching = subscribe(name="Watcher", events=[FAILING, RECOVERED], url=receiver.url("/told"))
    receiver.always(500)
    for _ in range(3):
        attempt(happen(organization).deliveries.get(subscription=own))
    claimed = claimed_from(happen(organization).deliveries.get(subscription=own))
    settings.FAN_OUT_AT_ONCE_MAX = at_once_max

    assert failing.tell(outcome_of(claimed, **FAILED))
    assert failing.tell_recovered(own.pk)
    fan_out.carry_on()

    recipients = Delivery.objects.filter(event__type__startswith="subscription.")
    assert set(recipients.values_list("event__type", "subscription_id")) == {
        (FAILING, watching.pk),
        (RECOVERED, watching.pk),
    }
    assert set(Event.objects.filter(type__in=(FAILING, RECOVERED)).values_list("recipients", flat=True)) == {
        1
    }


def test_many_workers_that_see_it_at_once_tell_it_once(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    fail(organization, receiver, attempt, 3)
    claims = [claimed_from(happen(organization).deliveries.get()) for _ in range(4)]
    failed_for(subscription)

    for tell in (
        [partial(failing.tell, outcome_of(claimed, **FAILED)) for claimed in claims],
        [partial(failing.tell_recovered, subscription.pk)] * 4,
    ):
        assert sorted(at_once(*tell)) == [False, False, False, True]
    # A claim from before all that knows of nothing.
    failed_for(subscription)
    assert not failing.tell(outcome_of(claims[0], **FAILED))
    assert told() == [FAILING, RECOVERED]


def note_success(outcome: Outcome) -> bool:
    taken = record(outcome)
    health.note(outcome)
    return taken


def test_a_success_and_the_telling_at_once_end_as_a_pair_or_as_nothing(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    for _ in range(8):
        failed_for(subscription, timedelta(0))
        fail(organization, receiver, attempt, 3)
        bad, good = (claimed_from(happen(organization).deliveries.get()) for _ in range(2))
        accepted = outcome_of(good, **ACCEPTED)

        at_once(partial(note_success, accepted), partial(failing.tell, outcome_of(bad, **FAILED)))

        assert told() in ([], [FAILING, RECOVERED])
        subscription.refresh_from_db()
        assert (subscription.failing_since, subscription.failing_told_at) == (None, None)
        Event.objects.filter(type__startswith="subscription.").delete()
        Subscription.objects.update(last_told_at=None)


def test_one_that_flaps_is_told_of_at_most_once_an_hour(
    organization: Organization, failing_one: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    for _ in range(3):
        succeed(organization, receiver, attempt)
        failed_for(failing_one, timedelta(0))
        exhaust(organization, receiver, attempt)
    assert told() == [FAILING, RECOVERED]

    Subscription.objects.update(last_told_at=Now() - timedelta(minutes=61), failing_since=Now())
    exhaust(organization, receiver, attempt)

    assert told() == [FAILING, RECOVERED, FAILING]


def test_once_it_is_told_failures_cost_no_statement_more(
    organization: Organization, failing_one: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.always(500)
    delivery = happen(organization).deliveries.get()

    with CaptureQueriesContext(connection) as captured:
        attempt(delivery)

    assert statements(captured) == [CLAIM, RECORD]


def test_a_success_in_the_log_that_was_never_noted_is_believed(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    succeed(organization, receiver, attempt)
    fail(organization, receiver, attempt, 3)
    failed_for(subscription)

    fail(organization, receiver, attempt, 1)

    subscription.refresh_from_db()
    assert (told(), subscription.failing_since) == ([], None)


def test_one_that_was_stopped_is_not_told_until_it_sends_again(
    organization: Organization, failing_one: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    Subscription.objects.update(disabled_at=Now(), disabled_reason=DisabledReason.FAILING)
    assert not failing.tell_recovered(failing_one.pk)
    subscription_update(organization=organization, subscription_id=failing_one.pk, values={"is_active": True})

    succeed(organization, receiver, attempt)

    assert told() == [FAILING, RECOVERED]


def test_0_minutes_never_tell(
    organization: Organization,
    subscription: Subscription,
    receiver: Receiver,
    attempt: Attempting,
    settings: Settings,
) -> None:
    settings.SUBSCRIPTION_FAILING_AFTER_MINUTES = 0
    failed_for(subscription, timedelta(days=1))

    fail(organization, receiver, attempt, 5)

    assert told() == []


def test_an_organization_without_an_address_gets_the_event_and_no_mail(
    organization: Organization, subscription: Subscription, receiver: Receiver, attempt: Attempting
) -> None:
    Organization.objects.update(contact_email="")
    failed_for(subscription)

    fail(organization, receiver, attempt, 3)

    assert (told(), Notice.objects.count()) == ([FAILING], 0)


def test_neither_event_nor_mail_shows_the_secret_in_an_url(
    api: APIClient, organization: Organization, subscribe: Subscribe, receiver: Receiver, attempt: Attempting
) -> None:
    path = "/hook?token=hush-hush"
    hidden = subscribe(events=["order.paid"], url=receiver.url(path))
    subscribe(name="Watcher", events=[FAILING, RECOVERED], url=receiver.url("/told"))
    failed_for(hidden)

    for status in (500, 500, 500, 204):
        receiver.always(status, path)
        attempt(happen(organization).deliveries.get())

    bodies = [bytes(body.body) for event in Event.objects.all() for body in event.bodies.all()]
    texts = [mail.text.encode() for mail in Notice.objects.all()]
    assert told() == [FAILING, RECOVERED]
    assert len(texts) == 2
    assert not any(b"hush-hush" in text for text in (*bodies, *texts))
