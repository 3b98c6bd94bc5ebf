"""A delivery's page tells its story: where it stands, each attempt, its body, and how to send it by hand."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from delivery.admin.standing import standing
from delivery.admin.story import attempts_of, last_that_counts
from delivery.deliver import Again
from delivery.models import Attempt, Delivery
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.admin_pages import member
from tests.factories import body_of
from tests.integration.test_admin import staff
from tests.integration.test_admin_delivery import DELIVERIES, end, happen, page
from tests.receiver import Receiver, Reply

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]


def stands(delivery: Delivery) -> str:
    delivery.refresh_from_db()
    return standing(delivery, last_that_counts(attempts_of(delivery)), now=timezone.now())


def told(text: str) -> str:
    """As one reads it."""
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)))


@pytest.fixture
def delivery(organization: Organization, subscribe: Subscribe) -> Delivery:
    subscribe(retry_schedule=[300, 600])
    return happen(organization, cat="tuxedo")


def test_what_waits_says_which_attempt_when_and_why(
    delivery: Delivery, receiver: Receiver, attempt: Attempting
) -> None:
    before = stands(delivery)
    receiver.reply(503)
    attempt(delivery)

    assert before == "Pending: attempt 1 of 3 is due, as soon as a worker is free."
    assert re.fullmatch(
        r"Waiting: attempt 2 of 3 in (5 min|4 min \d+ s), because the receiver answered 503\.",
        stands(delivery),
    )


def test_what_is_under_way_says_so(delivery: Delivery) -> None:
    Delivery.objects.update(lease_until=timezone.now() + timedelta(seconds=9))

    assert stands(delivery) == "Sending now: attempt 1 of 3."


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"state": "exhausted", "reason": "schedule_used_up"},
            "all attempts failed; at the last one no attempt",
        ),
        ({"state": "exhausted", "reason": "single_attempt"}, "and it had a single attempt"),
        ({"state": "exhausted", "reason": "new in a later version"}, "Exhausted: new in a later version."),
        (
            {"state": "cancelled", "reason": "subscription_deleted"},
            "Cancelled: the subscription was deleted.",
        ),
        ({"state": "blocked", "reason": "address_not_allowed"}, "Blocked: "),
        ({"state": "held", "reason": "subscription_disabled"}, "Enable it, then send what is held"),
        ({"state": "held", "reason": "worker_lost"}, "Find out why"),
        ({"state": "waiting", "reason": "rate_limited"}, "for its turn under its subscription's rate limit"),
        ({"state": "waiting", "reason": "receiver_slow", "lane": "slow"}, "in the slow lane"),
        ({"state": "delivered", "reason": "accepted", "last_status_code": 204}, "the receiver answered 204"),
    ],
)
def test_each_state_has_its_sentence(delivery: Delivery, values: dict[str, Any], expected: str) -> None:
    finished_at = None if values["state"] in ("waiting", "held") else timezone.now()
    Delivery.objects.update(**values, finished_at=finished_at)

    assert expected in stands(delivery)


def test_the_time_line_shows_each_attempt_and_what_followed(
    admin_client: Client, delivery: Delivery, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(Reply(503, {"X-Why": "maintenance"}, b"come back"), 204)
    attempt(delivery)
    Delivery.objects.update(next_attempt_at=timezone.now())
    attempt(delivery, 2)

    text = told(page(admin_client, delivery))

    assert "Delivered: the receiver answered 204 to attempt 2," in text
    assert text.index("Attempt 1 503 http_status") < text.index("Attempt 2 204 accepted")
    assert "The receiver answered 503. " in text
    assert re.search(r"Tried again [\d.]+ (ms|s) later\.", text)
    assert "X-Why: maintenance" in text
    assert "come back" in text


def test_a_late_attempt_is_marked_and_decides_nothing(
    admin_client: Client, delivery: Delivery, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(503)
    attempt(delivery)
    Attempt.objects.update(late=True)

    text = told(page(admin_client, delivery))

    assert "503 http_status late" in text
    assert "another worker had taken over" in text


def test_what_was_cancelled_was_not_tried_again(
    admin_client: Client, api: APIClient, delivery: Delivery, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(503)
    attempt(delivery)
    assert api.post(f"/v1/deliveries/{delivery.pk}/cancel").status_code == 200

    text = told(page(admin_client, delivery))

    assert "Not tried again: see the next entry." in text
    assert "Cancelled: somebody asked for it." in text


def test_the_exact_bytes_are_a_file_for_those_who_may_see_bodies(
    admin_client: Client, delivery: Delivery
) -> None:
    url = f"{DELIVERIES}{delivery.pk}/body/"

    response = admin_client.get(url)

    assert response.content == body_of(delivery)
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "attachment" in response.headers["Content-Disposition"]
    assert staff().get(url).status_code == 403
    assert admin_client.get(f"{DELIVERIES}0190a1ff-4213-78fc-9ede-0d2b382ebe66/body/").status_code == 404


def test_lines_of_the_whole_body_are_found(
    admin_client: Client, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    long = happen(organization, first="x" * 100_000, last="a <b>needle</b>")

    text = admin_client.get(f"{DELIVERIES}{long.pk}/change/?find=NEEDLE").content.decode()

    assert "1 line with “NEEDLE”" in text
    assert "a &lt;b&gt;<mark>needle</mark>&lt;/b&gt;" in text
    assert (
        "No line has “nothing”"
        in admin_client.get(f"{DELIVERIES}{long.pk}/change/?find=nothing").content.decode()
    )


def test_the_request_comes_as_a_command_with_the_signature_that_was_sent_and_no_secret(
    admin_client: Client, organization: Organization, subscribe: Subscribe, attempt: Attempting
) -> None:
    subscribe(headers={"Authorization": "Bearer hush"})
    delivery = happen(organization, cat="it's")
    attempt(delivery)
    (sent,) = Attempt.objects.all()

    text = unescape(page(admin_client, delivery))
    command = text[text.index("curl --globoff") :].partition("</pre>")[0]

    assert f"webhook-signature: {sent.request_headers['webhook-signature']}" in command
    assert delivery.url in command
    assert "hush" not in text
    assert "Authorization" not in command
    assert "Left out, for their values are not on record: Authorization" in text


def test_who_may_not_see_bodies_gets_neither_body_nor_command(delivery: Delivery) -> None:
    text = page(member("viewer"), delivery)

    assert "tuxedo" not in text
    assert "curl" not in text
    assert "you lack the permission to see bodies" in text


def test_it_offers_what_can_be_done_as_it_stands(admin_client: Client, delivery: Delivery) -> None:
    def offered() -> set[str]:
        return set(re.findall(r'name="action" value="(\w+)"', page(admin_client, delivery)))

    waiting = offered()
    Delivery.objects.update(state=State.HELD, reason="worker_lost")
    held = offered()
    end(delivery, State.EXHAUSTED)

    assert (waiting, held, offered()) == ({"cancel"}, {"cancel", "recover"}, {"replay"})


def test_the_page_looks_again_while_something_may_change(admin_client: Client, delivery: Delivery) -> None:
    waiting = page(admin_client, delivery)
    end(delivery, State.DELIVERED)

    assert 'data-refresh-seconds="3"' in waiting
    assert '<noscript><meta http-equiv="refresh"' in waiting
    assert "data-refresh-seconds" not in page(admin_client, delivery)
