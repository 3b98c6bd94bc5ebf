"""The lists of deliveries and attempts: what they show, which filters combine, and how far they look."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone

from delivery.admin import bounded_list
from delivery.models import Attempt, Delivery
from delivery.states import State
from subscriptions.ids import first_uuid7
from subscriptions.models import Organization, Subscription
from tests.integration.test_admin import DELIVERIES, happen, shown
from tests.integration.test_export import rows_of
from tests.integration.test_queries import fill
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]
ATTEMPTS = "/admin/delivery/attempt/"


def keys() -> list[str]:
    """Of all deliveries, newest first."""
    return [str(key) for key in Delivery.objects.order_by("-id").values_list("id", flat=True)]


def end(*ids: str, state: State = State.EXHAUSTED, status_code: int | None = None) -> None:
    Delivery.objects.filter(id__in=ids).update(
        state=state, last_status_code=status_code, finished_at=timezone.now(), next_attempt_at=None
    )


def listed(client: Client, url: str) -> list[str]:
    """The keys that a list without actions leads to."""
    response = client.get(url)
    assert response.status_code == 200, url
    return re.findall(r"/attempt/([0-9a-f-]{36})/change", response.content.decode())


def test_a_row_has_what_tells_deliveries_apart_in_short_columns(
    admin_client: Client, organization: Organization, subscribe: Subscribe, receiver: Receiver
) -> None:
    hook = subscribe()
    happen(organization)
    (key,) = keys()
    end(key, status_code=503)

    page = admin_client.get(DELIVERIES).content.decode()
    row = re.sub(r"<[^>]+>|\s+", " ", page[page.index("<tbody>") :])

    assert f"…{key[-8:]}" in row
    assert '<span class="badge badge-bad">exhausted</span>' in page
    for text in ("order.paid", hook.url.split("/")[2], "503"):
        assert text in row
    assert hook.url not in row


def test_filters_combine(admin_client: Client, organization: Organization, subscribe: Subscribe) -> None:
    hook = subscribe()
    happen(organization, 4)
    newest, second, third, _ = keys()
    end(newest, second, status_code=503)
    end(third, status_code=404)
    found = {
        "answer=5": [newest, second],
        "answer=4": [third],
        "answer=none&state=pending": keys()[3:],
        f"answer=5&state=exhausted&subscription={hook.pk}&created=1": [newest, second],
        "answer=5&state=delivered": [],
        f"answer=4&organization={organization.public_id}&type=order.paid": [third],
        "type=order.refunded": [],
        "answer=x&state=x&created=x": keys(),
        "q=503": [newest, second],
        "q=404&answer=5": [],
    }

    assert {query: shown(admin_client, f"{DELIVERIES}?{query}") for query in found} == found


def test_attempts_are_found_by_type_time_and_code(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Callable[..., Any],
) -> None:
    subscribe()
    receiver.reply(503)
    happen(organization)
    attempt(Delivery.objects.get())
    (key,) = (str(id_) for id_ in Attempt.objects.values_list("id", flat=True))
    found = {
        "q=503": [key],
        "q=404": [],
        "type=order.paid": [key],
        f"type=order.paid&organization={organization.public_id}&answer=5": [key],
        "type=order.refunded": [],
        "since=2026-01-01&answer=5": [key],
        "until=2026-01-01": [],
    }

    assert {query: listed(admin_client, f"{ATTEMPTS}?{query}") for query in found} == found


@pytest.fixture
def three_days(organization: Organization, subscribe: Subscribe) -> list[Delivery]:
    """A delivery of each of three days in January, at noon; the oldest first."""
    subscribe()
    happen(organization, 3)
    days = []
    for day, delivery in enumerate(Delivery.objects.order_by("id"), start=1):
        noon = datetime(2026, 1, day, 12, tzinfo=UTC)
        key = UUID(int=first_uuid7(int(noon.timestamp() * 1000)).int | 1)
        Delivery.objects.filter(id=delivery.id).update(id=key)
        days.append(Delivery.objects.get(id=key))
    return days


def test_a_range_of_time_is_typed(admin_client: Client, three_days: list[Delivery]) -> None:
    first, second, third = (str(delivery.id) for delivery in three_days)
    found = {
        "since=2026-01-02": [third, second],
        "until=2026-01-02": [first],
        "since=2026-01-01T12:00&until=2026-01-02+12:00": [first],
        "since=2026-01-02+14:00%2B02:00": [third, second],
        "since=&until=": [third, second, first],
    }

    assert {query: shown(admin_client, f"{DELIVERIES}?{query}") for query in found} == found


def test_what_is_no_time_is_told(admin_client: Client, three_days: list[Delivery]) -> None:
    page = admin_client.get(f"{DELIVERIES}?since=yesterday").content.decode()

    assert "“yesterday” is no time" in page
    assert shown(admin_client, f"{DELIVERIES}?since=yesterday") == []


@pytest.mark.parametrize(
    "query", ["state=exhausted", "answer=5", "q=503", "type=order.paid", "lane__exact=first"]
)
def test_what_has_no_index_is_looked_for_among_the_newest_and_a_link_leads_further_back(
    admin_client: Client, three_days: list[Delivery], monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(bounded_list, "SCANNED_ROWS_MAX", 2)
    first, *_newer = (str(delivery.id) for delivery in three_days)
    end(first, status_code=503)

    assert first not in shown(admin_client, f"{DELIVERIES}?{query}")
    page = admin_client.get(f"{DELIVERIES}?{query}").content.decode()
    (link,) = re.findall(r'<a href="([^"]*)">Look further back', page)

    assert "after 2026-01-01 12:00:00 UTC" in page
    assert shown(admin_client, DELIVERIES + link.replace("&amp;", "&")) == [first]
    assert "Look further back" not in admin_client.get(DELIVERIES).content.decode()


def test_an_export_looks_at_all(
    admin_client: Client, three_days: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_list, "SCANNED_ROWS_MAX", 1)
    end(str(three_days[0].id), status_code=503)

    (row,) = rows_of(admin_client, f"{DELIVERIES}export/jsonl/?answer=5&state=exhausted&until=2026-01-03")

    assert row["id"] == str(three_days[0].id)


def test_a_replay_starts_with_what_the_list_was_filtered_by(
    admin_client: Client, three_days: list[Delivery]
) -> None:
    query = "answer=5&type=order.paid&since=2026-01-02&until=2026-01-03"
    listed_page = admin_client.get(f"{DELIVERIES}?{query}").content.decode()
    (link,) = re.findall(r'href="(/admin/delivery/replay/start/[^"]*)"', listed_page)

    page = admin_client.get(link.replace("&amp;", "&")).content.decode()

    assert re.search(r'value="5xx"[^>]*checked', page)
    for text in ("order.paid", "2026-01-02 00:00:00", "2026-01-03 00:00:00"):
        assert f'value="{text}"' in page
    assert "which a replay cannot do" not in page


PARTS: list[tuple[str, ...]] = [
    ("", "state=exhausted", "state=waiting"),
    ("", "subscription=6"),
    ("", "answer=5", "answer=none"),
    ("", "created=1", "since=2026-01-01"),
    ("", "type=order.paid"),
]


@pytest.mark.parametrize("model", [Delivery, Attempt])
def test_no_combination_of_filters_reads_a_whole_table(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, model: Any
) -> None:
    fill(organization)
    monkeypatch.setattr(bounded_list, "SCANNED_ROWS_MAX", 2_000)
    user = User.objects.create_superuser("root")
    read_wholly = []

    for parts in itertools.product(*PARTS):
        query = "&".join(filter(None, parts if model is Delivery else parts[1:]))
        request = RequestFactory().get(f"/?{query}")
        request.user = user
        changelist = site.get_model_admin(model).get_changelist_instance(request)
        if f"Seq Scan on {model._meta.db_table}" in changelist.queryset[:100].explain():
            read_wholly.append(query)

    assert read_wholly == []
