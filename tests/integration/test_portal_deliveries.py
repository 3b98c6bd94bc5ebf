"""The log on the portal, a delivery with its attempts and body, and replays of failures."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery, Replay
from delivery.replays.chunks import carry_on
from portal import log
from subscriptions.models import Organization, Subscription
from tests.factories import answer, completed_run, deliveries, webhook
from tests.integration.conftest import client_for
from tests.portal_pages import Page, Portal, portal_of
from tests.receiver import Receiver, Reply

Attempting = Callable[..., Any]
EXHAUSTED = {"state": "exhausted", "finished_at": Now(), "next_attempt_at": None}


@pytest.fixture
def portal(api: APIClient) -> Portal:
    return portal_of(api)


def told(api: APIClient, event_type: str = "order.paid") -> Delivery:
    """The delivery of a new event."""
    answer(api.post("/v1/events", {"event_type": event_type, "data": {"number": 7}}), 202)
    return Delivery.objects.latest("id")


def attempts_made(subscription: Subscription, successes: str) -> None:
    """Attempts on record, oldest first: `+` for one that was accepted, `-` for one that failed."""
    Attempt.objects.bulk_create(
        Attempt(
            organization_id=subscription.organization_id,
            delivery_id=Delivery.objects.latest("id").pk,
            subscription=subscription,
            event_id="evt_1",
            event_type=f"order.n{number}",
            url="https://hooks.example.com/",
            number=1,
            success=success == "+",
            status_code=204 if success == "+" else 500,
        )
        for number, success in enumerate(successes)
    )


def types_on(page: Page) -> list[str]:
    return [text for text in page.inside("h2") if text.startswith("order.")]


def test_the_log_has_each_attempt_with_its_answer_newest_first(
    api: APIClient, portal: Portal, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(Reply(500, body=b"<i>broken</i>"), 204)
    subscription = webhook(api, name="Orders", url=receiver.url())
    for name in ("order.paid", "order.sent"):
        attempt(told(api, name))

    page = portal.get("log")

    assert types_on(page) == ["order.sent", "order.paid"]
    assert [t for t in page.inside("span") if ", " in t] == ["Accepted, 204", "Failed, 500"]
    assert "<i>broken</i>" in page.inside("pre")
    failures = portal.get("log", {"subscription": str(subscription["id"]), "show": "failed"})
    assert failures.inside("h1") == ["Log of Orders"]
    assert types_on(failures) == ["order.paid"]


def test_the_log_goes_on_page_by_page_without_gap_or_repetition(
    api: APIClient, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PER_PAGE", 3)
    subscription = Subscription.objects.get(pk=webhook(api)["id"])
    told(api)
    attempts_made(subscription, "+" * 7)
    query, seen = {"subscription": str(subscription.pk)}, []

    page = portal.get("log", query)
    while "Older" in page.links:
        seen += types_on(page)
        page = portal.get(f"log{page.links['Older']}")
    seen += types_on(page)

    assert seen == [f"order.n{number}" for number in reversed(range(7))]


def test_failures_among_many_successes_are_looked_for_in_bounded_steps(
    api: APIClient, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "SCANNED_ROWS_MAX", 4)
    subscription = Subscription.objects.get(pk=webhook(api)["id"])
    told(api)
    attempts_made(subscription, "-" + "+" * 6 + "-" + "+" * 2)

    first = portal.get("log", {"show": "failed"})
    second = portal.get(f"log{first.links['Older']}")
    third = portal.get(f"log{second.links['Older']}")

    assert [types_on(page) for page in (first, second, third)] == [["order.n7"], [], ["order.n0"]]
    assert "were looked through" in second.text
    assert "Older" not in third.links


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"before": "nonsense"}, 422),
        ({"subscription": "nonsense"}, 422),
        ({"subscription": "9" * 40}, 422),
        ({"subscription": "123456"}, 404),
        ({"show": "\x00"}, 422),
        ({"show": "nonsense"}, 200),
    ],
)
def test_a_nonsense_filter_is_answered_on_a_page(portal: Portal, query: dict[str, str], status: int) -> None:
    assert portal.get("log", query).status == status


def test_a_delivery_shows_where_it_stands_its_attempts_and_the_bytes(
    api: APIClient, portal: Portal, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(Reply(500, body=b"try later"), 204)
    webhook(api, name="Orders", url=receiver.url(), payload_format="standard", retry_schedule=[60])
    delivery = told(api)
    attempt(delivery)

    page = portal.get(f"deliveries/{delivery.pk}")

    assert page.inside("h1") == ["order.paid"]
    assert "Will be tried again" in page.text
    assert "Orders" in page.links
    answered, *headers, body = page.inside("pre")
    assert answered == "try later"
    assert f"webhook-id: {delivery.webhook_id}" in headers[0]
    assert '"number": 7' in body
    assert not page.has("Send it again")
    assert page.attributes("div")[0]["data-refresh-seconds"] == "2"


def test_the_delivery_of_a_callback_is_shown_like_any_other(api: APIClient, portal: Portal) -> None:
    completed_run(api, webhook_url="https://hooks.example.com/run?token=canary-of-a-query")

    page = portal.get(f"deliveries/{Delivery.objects.get().pk}")

    assert page.inside("h1") == ["workflow.completed"]
    assert "https://hooks.example.com/run?token=***" in page.text
    assert "canary-of-a-query" not in page.text


def test_one_failure_is_sent_again_as_a_new_delivery(
    api: APIClient, portal: Portal, receiver: Receiver, attempt: Attempting
) -> None:
    webhook(api, url=receiver.url())
    failed = told(api)
    Delivery.objects.filter(pk=failed.pk).update(**EXHAUSTED)

    page = portal.send(portal.get(f"deliveries/{failed.pk}"), "Send it again")

    assert "This is the new delivery of the same event." in page.text
    copy = Delivery.objects.get(replay_of=failed)
    assert page.links["an earlier delivery"].endswith(str(failed.pk))
    refused = portal.post(f"deliveries/{failed.pk}/replay")
    assert (refused.status, "is still open" in refused.text) == (409, True)
    attempt(copy)
    assert "Delivered" in portal.get(f"deliveries/{copy.pk}").text


def test_failures_since_a_time_are_counted_then_sent_again(
    api: APIClient, portal: Portal, organization: Organization
) -> None:
    subscription, other = webhook(api, name="Orders")["id"], webhook(api)["id"]
    for _ in range(2):
        told(api)
    Delivery.objects.update(**EXHAUSTED)
    old = Delivery.objects.filter(subscription_id=subscription).earliest("id")
    Delivery.objects.filter(pk=old.pk).update(created_at="2026-01-01T00:00:00Z")
    page = portal.get("replays", {"subscription": str(subscription)})
    fields = page.form("Replay").fields
    assert page.inside("h1") == ["Replay failures of Orders"]

    counted = portal.post("replays", fields | {"count": "1"})

    assert "1 would be sent again" in counted.text
    assert not Replay.objects.exists()
    assert counted.form("Replay").fields["replay_key"] == fields["replay_key"]
    begun = portal.post("replays", counted.form("Replay").fields)
    assert "The replay has begun." in begun.text
    carry_on()
    copies = Delivery.objects.filter(replay_of__isnull=False)
    assert [copy.subscription_id for copy in copies] == [subscription]
    made = Replay.objects.get()
    assert made.organization == organization
    ended = portal.get(f"replays/{made.pk}")
    assert "done" in ended.text
    assert "1 sent again, 1 of 1 looked at" in ended.text
    assert other not in made.filter.values()


def test_the_same_form_sent_twice_is_one_replay(api: APIClient, portal: Portal) -> None:
    fields = portal.get("replays").form("Replay").fields

    pages = [portal.post("replays", fields) for _ in range(2)]

    assert [page.status for page in pages] == [200, 200]
    assert Replay.objects.count() == 1
    assert portal.get("replays").inside("h2") == ["Latest replays"]


@pytest.mark.parametrize("since", ["", "yesterday", "0000-01-01T00:00", "2026-13-01T00:00"])
def test_a_time_that_is_none_is_said_beside_its_field(portal: Portal, since: str) -> None:
    fields = portal.get("replays").form("Replay").fields

    page = portal.post("replays", fields | {"since": since})

    assert "id_since_error" in [a.get("id") for a in page.attributes("ul")]
    assert not Replay.objects.exists()


def test_a_replay_that_runs_is_cancelled(api: APIClient, portal: Portal) -> None:
    begun = portal.post("replays", portal.get("replays").form("Replay").fields)

    cancelled = portal.send(begun, "Cancel the rest")

    assert "The replay was cancelled." in cancelled.text
    assert Replay.objects.get().state == "cancelled"
    assert not cancelled.has("Cancel the rest")


def test_a_read_only_link_replays_nothing(api: APIClient) -> None:
    webhook(api)
    told(api)
    Delivery.objects.update(**EXHAUSTED)
    portal, delivery = portal_of(api, read_only=True), deliveries(api)[0]["id"]

    assert not portal.get(f"deliveries/{delivery}").has("Send it again")
    assert portal.post(f"deliveries/{delivery}/replay").status == 403
    assert portal.get("replays").status == 403
    assert Delivery.objects.count() == 1


def test_a_delivery_whose_body_is_no_longer_kept_says_so(api: APIClient, portal: Portal) -> None:
    webhook(api)
    delivery = told(api)
    Delivery.objects.filter(pk=delivery.pk).update(**EXHAUSTED)
    delivery.event.bodies.all().delete()

    page = portal.get(f"deliveries/{delivery.pk}")

    assert "It is no longer kept" in page.text
    assert not page.has("Send it again")
    assert portal.post(f"deliveries/{delivery.pk}/replay").status == 409


def test_what_was_cancelled_before_it_was_sent_is_no_failure_of_the_receiver(
    api: APIClient, portal: Portal
) -> None:
    subscription = webhook(api)["id"]
    told(api)
    answer(api.patch(f"/v1/webhooks/{subscription}", {"is_active": False}))

    page = portal.get("log")

    assert "Not sent" in page.inside("span")
    assert "Cancelled: the subscription was deactivated" in page.text


def test_who_may_replay_but_not_read_neither_sees_nor_replays(organization: Organization) -> None:
    api = client_for(organization, ["webhooks:read", "webhooks:write", "deliveries:replay"])
    webhook(api)
    portal = portal_of(api)

    assert "Replay" not in portal.get().links
    assert portal.get("replays").status == 403
    assert portal.post("replays", {"since": "2026-01-01T00:00", "replay_key": "x"}).status == 403
    assert not Replay.objects.exists()


def test_of_a_deleted_subscription_there_is_a_log_but_nothing_to_replay(
    api: APIClient, portal: Portal
) -> None:
    subscription = webhook(api)
    assert api.delete(f"/v1/webhooks/{subscription['id']}").status_code == 204

    assert portal.get(f"log?subscription={subscription['id']}").status == 200
    assert portal.get(f"replays?subscription={subscription['id']}").status == 404
