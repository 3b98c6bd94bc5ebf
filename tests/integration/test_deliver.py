"""One attempt from claim to record: what the receiver gets, and what becomes of the delivery."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from freezegun import freeze_time
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from delivery.callbacks import Callback
from delivery.deliver import Again
from delivery.models import Attempt, Delivery
from delivery.sender import Transport
from delivery.services import send_test
from delivery.states import Lane, State
from subscriptions import services
from subscriptions.models import Organization, Subscription
from tests.factories import body_of
from tests.integration.attempts import both_ways
from tests.integration.test_outbox import CALLBACK, happen
from tests.integration.test_recorder import terminate_own_connection
from tests.integration.test_sender import closed_port
from tests.receiver import Received, Receiver, Reply


class Here(NamedTuple):
    """A tenant, a receiver, and a worker that makes one attempt when told to."""

    organization: Organization
    subscribe: Callable[..., Subscription]
    attempt: Callable[..., Again | None]
    receiver: Receiver

    def delivery(self, **values: Any) -> Delivery:
        """Due for its first attempt, for a new subscription with these values."""
        self.subscribe(**values)
        return the_delivery(self.organization)


@pytest.fixture(params=["one by one", "in batches"])
def attempt(request: pytest.FixtureRequest, transport: Transport) -> Iterator[Callable[..., Again | None]]:
    """Both ways in which a worker makes an attempt."""
    with both_ways[request.param](transport) as make:
        yield make


@pytest.fixture
def here(
    organization: Organization,
    subscribe: Callable[..., Subscription],
    attempt: Callable[..., Again | None],
    receiver: Receiver,
) -> Here:
    return Here(organization, subscribe, attempt, receiver)


def the_delivery(organization: Organization, callback: Callback | None = None) -> Delivery:
    return happen(organization, callback).deliveries.get()


def make_due(delivery: Delivery) -> None:
    """As if the wait for the next attempt were over."""
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=Now() - timedelta(seconds=1))


def verified(request: Received, secret: str) -> Any:
    """What a receiver with the reference library makes of the request."""
    return Webhook(secret).verify(request.body, dict(request.headers.items()))


def test_an_accepted_event_is_delivered(here: Here) -> None:
    delivery = here.delivery()

    assert here.attempt(delivery) is None

    (request,) = here.receiver.at()
    delivery.refresh_from_db()
    assert request.body == body_of(delivery)
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"].startswith("Runhooks/")
    assert delivery.state == State.DELIVERED
    assert delivery.attempt_log.get().status_code == 204


def test_a_delivered_event_is_not_sent_again(here: Here) -> None:
    delivery = here.delivery()

    here.attempt(delivery)
    here.attempt(delivery)
    here.attempt(delivery, 2)

    assert len(here.receiver.requests) == 1
    assert Attempt.objects.count() == 1


def test_a_short_wait_is_celerys_and_a_long_one_the_rows(here: Here) -> None:
    here.receiver.reply(503)
    delivery = here.delivery(retry_schedule=[7.0, 300.0])

    short = here.attempt(delivery)
    make_due(delivery)
    long = here.attempt(delivery, 2)

    delivery.refresh_from_db()
    assert short == Again(attempt=2, delay_seconds=7.0)
    assert long is None
    assert (delivery.state, delivery.lane, delivery.attempts) == (State.WAITING, Lane.RETRY, 2)
    assert delivery.next_attempt_at is not None
    assert (delivery.next_attempt_at - timezone.now()).total_seconds() == pytest.approx(300, abs=10)


def test_a_schedule_that_is_used_up_ends_the_delivery(here: Here) -> None:
    here.receiver.reply(500)
    delivery = here.delivery(retry_schedule=[0.0, 0.0])

    answers = [here.attempt(delivery, number) for number in (1, 2, 3)]

    delivery.refresh_from_db()
    assert [again and again.attempt for again in answers] == [2, 3, None]
    assert (delivery.state, delivery.reason) == (State.EXHAUSTED, "schedule_used_up")
    assert list(delivery.attempt_log.order_by("id").values_list("number", flat=True)) == [1, 2, 3]


NOT_AFTER = {
    "seconds": ("90", 90.0),
    "shorter than the schedule": ("1", 5.0),
    "beyond the ceiling": ("999999", 200.0),
    "nonsense": ("soon", 5.0),
    "a year that no computer has": ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 5.0),
    "a time zone that no earth has": ("Wed, 21 Oct 2026 07:28:00 +99999999999999999999", 5.0),
}


@pytest.mark.parametrize(("retry_after", "expected"), NOT_AFTER.values(), ids=NOT_AFTER)
def test_retry_after_lengthens_the_wait(
    here: Here, settings: Settings, retry_after: str, expected: float
) -> None:
    settings.DELIVERY_RETRY_AFTER_MAX_SECONDS = 200.0
    here.receiver.reply(Reply(429, {"Retry-After": retry_after}))
    delivery = here.delivery(retry_schedule=[5.0])

    here.attempt(delivery)

    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    wait = (delivery.next_attempt_at - timezone.now()).total_seconds()
    assert wait == pytest.approx(expected, abs=4)


def test_a_failed_connection_says_why(here: Here) -> None:
    delivery = here.delivery(url=f"http://127.0.0.1:{closed_port()}/", retry_policy="elan")

    here.attempt(delivery)

    logged = delivery.attempt_log.get()
    assert (logged.status_code, logged.response_body) == (None, None)
    assert (logged.error_class, logged.success) == ("connection_refused", False)


def test_a_target_that_the_operator_no_longer_allows_is_blocked(here: Here) -> None:
    subscription = here.subscribe()
    Subscription.objects.filter(pk=subscription.pk).update(url=f"http://10.0.0.1:{here.receiver.port}/")
    delivery = the_delivery(here.organization)

    assert here.attempt(delivery) is None

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.BLOCKED, "address_not_allowed")
    assert "10.0.0.1" not in delivery.attempt_log.get().error_message


def test_a_test_event_gets_a_single_attempt_even_while_the_subscription_is_inactive(here: Here) -> None:
    subscription = here.subscribe(is_active=False)
    here.receiver.reply(500)
    delivery = send_test(organization=here.organization, subscription_id=subscription.pk)

    assert here.attempt(delivery) is None

    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == (State.EXHAUSTED, "single_attempt")
    assert delivery.attempt_log.get().is_test


@pytest.mark.parametrize("values", [{"is_active": False}, {"is_active": False, "deleted_at": Now()}])
def test_nothing_is_sent_for_a_subscription_that_was_stopped_as_the_event_committed(
    here: Here, values: dict[str, Any]
) -> None:
    subscription = here.subscribe()
    delivery = the_delivery(here.organization)
    # Without the service: it did not see the delivery, which committed after it.
    Subscription.objects.filter(pk=subscription.pk).update(**values)

    assert here.attempt(delivery) is None

    delivery.refresh_from_db()
    expected = "subscription_deleted" if "deleted_at" in values else "subscription_deactivated"
    assert (delivery.state, delivery.reason) == (State.CANCELLED, expected)
    assert here.receiver.requests == []


def test_the_next_attempt_uses_what_the_subscription_says_by_then(here: Here) -> None:
    subscription = here.subscribe(secret="first", headers={"X-Key": "one"}, retry_schedule=[0.0])
    here.receiver.reply(500)
    delivery = the_delivery(here.organization)

    here.attempt(delivery)
    services.subscription_update(
        organization=here.organization,
        subscription_id=subscription.pk,
        values={"url": here.receiver.url("/new"), "secret": "second", "headers": {"X-Key": "two"}},
    )
    here.attempt(delivery, 2)

    (old,), (new,) = here.receiver.at("/hook"), here.receiver.at("/new")
    assert old.body == new.body
    assert (old.headers["X-Key"], new.headers["X-Key"]) == ("one", "two")
    assert old.headers["X-Webhook-Signature"] != new.headers["X-Webhook-Signature"]
    urls = delivery.attempt_log.order_by("id").values_list("url", flat=True)
    assert list(urls) == [here.receiver.url(), here.receiver.url("/new")]


def test_all_attempts_send_the_same_bytes_and_id_under_signatures_that_verify(
    here: Here,
) -> None:
    values = {"name": "Hook", "url": here.receiver.url(), "events": ["*"], "retry_schedule": [0.0]}
    subscription, old = services.subscription_create(organization=here.organization, values=values)
    rotation = services.signing_secret_rotate(organization=here.organization, subscription=subscription)
    new = rotation.signing_secret
    here.receiver.reply(500)
    delivery = the_delivery(here.organization)

    here.attempt(delivery)
    first_second = int(here.receiver.at()[0].headers["webhook-timestamp"])
    while int(timezone.now().timestamp()) == first_second:
        connection.cursor().execute("SELECT pg_sleep(0.01)")
    here.attempt(delivery, 2)

    first, second = here.receiver.at()
    assert first.body == second.body
    for secret in (old, new):
        assert verified(first, secret) == verified(second, secret) == json.loads(first.body)
    assert {r.headers["webhook-id"] for r in (first, second)} == {delivery.event.event_id}
    assert int(second.headers["webhook-timestamp"]) > first_second


def test_a_callback_is_signed_with_the_workflows_key_or_else_the_organizations(here: Here) -> None:
    organization, of_organization = services.organization_create(name="Signing")
    rotation = services.signing_secret_rotate(
        organization=organization, workflow_id="wf_own", overlap_seconds=0
    )
    plain = replace(CALLBACK, url=here.receiver.url(), workflow_id="wf_without")

    here.attempt(the_delivery(organization, plain))
    here.attempt(the_delivery(organization, replace(plain, workflow_id="wf_own")))

    first, second = here.receiver.at()
    assert verified(first, of_organization) == json.loads(first.body)
    assert verified(second, rotation.signing_secret) == json.loads(second.body)
    with pytest.raises(WebhookVerificationError):
        verified(second, of_organization)


def test_a_callback_in_seed_001s_scheme_is_signed_with_the_text_of_that_key(here: Here) -> None:
    organization, secret = services.organization_create(name="Signing")
    schemes = ("hmac_sha256_hex", "shared_secret")
    callback = replace(CALLBACK, url=here.receiver.url(), signature_schemes=schemes)

    here.attempt(the_delivery(organization, callback))

    (request,) = here.receiver.requests
    expected = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Webhook-Signature"] == expected
    assert secret not in str(request.headers), "a key that signs is never sent"


def test_no_transaction_is_open_while_a_socket_is(here: Here) -> None:
    open_transactions: list[int] = []

    def look(_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
            )
            open_transactions.extend(row[0] for row in cursor.fetchall())
        connection.close()

    here.subscribe()
    here.receiver.reply(Reply(before=look))

    here.attempt(the_delivery(here.organization))

    assert open_transactions == [0]


def test_the_log_keeps_names_of_customers_headers_only(here: Here) -> None:
    here.receiver.reply(Reply(200, {"Set-Cookie": "session=secret", "X-Request-Id": "7"}))
    delivery = here.delivery(headers={"Authorization": "Bearer very-secret"}, secret="the-secret")

    here.attempt(delivery)

    logged = delivery.attempt_log.get()
    assert here.receiver.at()[0].headers["Authorization"] == "Bearer very-secret"
    assert logged.request_headers["Authorization"] == "***"
    assert logged.request_headers["webhook-id"] == delivery.webhook_id
    assert (logged.response_headers["Set-Cookie"], logged.response_headers["X-Request-Id"]) == ("***", "7")


@pytest.mark.parametrize("scheme", ["shared_secret", "hmac_sha256_hex"])
def test_neither_secrets_nor_bodies_reach_the_log_or_the_attempt(
    here: Here, caplog: pytest.LogCaptureFixture, scheme: str
) -> None:
    values: dict[str, Any] = {"name": "H", "url": here.receiver.url(), "events": ["*"]}
    values |= {
        "secret": "caller-secret",
        "headers": {"X-Key": "header-secret"},
        "signature_schemes": ["standard_webhooks", scheme],
    }
    _, generated = services.subscription_create(organization=here.organization, values=values)
    here.receiver.reply(Reply(500, body=b"answer-body"))
    delivery = happen(here.organization, data={"n": "event-body"}).deliveries.get()

    with caplog.at_level(logging.DEBUG):
        here.attempt(delivery)

    (line,) = [r.getMessage() for r in caplog.records if r.name == "delivery.deliver"]
    assert str(delivery.id) in line
    assert "status=500" in line
    secrets = ["caller-secret", "header-secret", generated.removeprefix("whsec_")]
    for secret in [*secrets, "event-body", "answer-body"]:
        assert secret not in caplog.text
    for secret in secrets:
        assert secret not in str(Attempt.objects.values())


# A frozen clock is not the same in all threads.
@pytest.mark.parametrize("attempt", ["one by one"], indirect=True)
def test_a_worker_whose_clock_is_an_hour_off_signs_and_waits_by_the_databases_clock(here: Here) -> None:
    moment = timezone.now() + timedelta(seconds=100)
    here.receiver.reply(Reply(503, {"Retry-After": format_datetime(moment, usegmt=True)}))
    delivery = here.delivery(retry_schedule=[5.0])

    with freeze_time(timezone.now() - timedelta(hours=1), tick=True):
        here.attempt(delivery)

    (request,) = here.receiver.requests
    assert abs(int(request.headers["webhook-timestamp"]) - timezone.now().timestamp()) < 5
    delivery.refresh_from_db()
    assert delivery.next_attempt_at is not None
    assert (delivery.next_attempt_at - moment).total_seconds() == pytest.approx(0, abs=4)


# A frozen clock is not the same in all threads.
@pytest.mark.parametrize("attempt", ["one by one"], indirect=True)
def test_a_worker_whose_clock_is_ahead_sends_nothing_early(here: Here) -> None:
    delivery = here.delivery()
    Delivery.objects.filter(pk=delivery.pk).update(next_attempt_at=Now() + timedelta(minutes=5))

    with freeze_time(timezone.now() + timedelta(hours=1), tick=True):
        here.attempt(delivery)

    assert here.receiver.requests == []


@pytest.mark.parametrize("attempt", ["one by one"], indirect=True)
def test_a_connection_that_was_cut_costs_no_attempt(here: Here) -> None:
    delivery = here.delivery()
    terminate_own_connection()

    here.attempt(delivery)

    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, len(here.receiver.requests)) == (State.DELIVERED, 1, 1)


def test_a_replay_waits_as_a_row_however_short(here: Here) -> None:
    here.receiver.reply(503)
    delivery = here.delivery(retry_schedule=[7.0])
    Delivery.objects.update(lane=Lane.REPLAY)

    assert here.attempt(delivery) is None

    delivery.refresh_from_db()
    assert (delivery.state, delivery.lane, delivery.nudged_at) == (State.WAITING, Lane.REPLAY, None)
