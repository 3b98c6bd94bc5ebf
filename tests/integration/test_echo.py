"""A receiver that echoes what it got must not publish our secrets in the log."""

from collections.abc import Callable
from typing import Any

from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from tests.receiver import Receiver, Reply


def test_secrets_and_header_values_that_come_back_are_masked_on_record(
    subscribe: Callable[..., Any],
    attempt: Callable[..., Any],
    receiver: Receiver,
    api: APIClient,
) -> None:
    receiver.reply(
        Reply(
            200,
            headers={"X-Echo": "header-canary"},
            body=b'{"a":"header-canary","b":"text-canary","c":"kept"}',
        )
    )
    subscribe(
        headers={"X-Own": "header-canary"},
        secret="text-canary",
        signature_schemes=["shared_secret"],
    )
    api.post("/v1/events", {"event_type": "echo.event", "data": {}})

    attempt(Delivery.objects.get())

    row = Attempt.objects.get()
    assert row.response_body == '{"a":"***","b":"***","c":"kept"}'
    assert row.response_headers["X-Echo"] == "***"
    assert "canary" not in str(row.request_headers)


def test_a_secret_that_comes_back_in_a_header_alone_is_masked(
    subscribe: Callable[..., Any],
    attempt: Callable[..., Any],
    receiver: Receiver,
    api: APIClient,
) -> None:
    receiver.reply(Reply(204, headers={"X-Echo": "text-canary"}, body=b""))
    subscribe(secret="text-canary", signature_schemes=["shared_secret"])
    api.post("/v1/events", {"event_type": "echo.event", "data": {}})

    attempt(Delivery.objects.get())

    row = Attempt.objects.get()
    assert (row.response_headers["X-Echo"], row.response_body) == ("***", "")


def test_what_is_recorded_and_replayed_shows_where_it_went(
    subscribe: Callable[..., Any],
    attempt: Callable[..., Any],
    receiver: Receiver,
    api: APIClient,
) -> None:
    subscription = subscribe(url=receiver.url("/old"))
    api.post("/v1/events", {"event_type": "echo.event", "data": {}})
    api.patch(f"/v1/webhooks/{subscription.pk}", {"url": receiver.url("/new")})

    attempt(Delivery.objects.get())
    first = Delivery.objects.get()
    replayed = api.post(f"/v1/deliveries/{first.pk}/replay").json()

    assert first.url == replayed["url"] == receiver.url("/new")
    assert len(receiver.at("/new")) == 1
