"""The admin exports what a list's filters find, as far as the user may see it."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from delivery.admin import export
from delivery.models import Attempt, Delivery
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Organization, Subscription
from tests.admin_pages import member
from tests.integration.test_admin import DELIVERIES, happen
from tests.receiver import Receiver, Reply

Subscribe = Callable[..., Subscription]
ATTEMPTS = "/admin/delivery/attempt/"


def rows_of(client: Client, url: str) -> list[dict[str, Any]]:
    response = client.get(url)
    assert response.status_code == 200, response
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    if "jsonl" in url:
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def events(organization: Organization, subscribe: Subscribe) -> list[str]:
    subscribe()
    return [str(event.id) for event in happen(organization, 5, note="=1+1")]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_file_has_what_the_filters_find_newest_first(
    admin_client: Client, organization: Organization, events: list[str], kind: str
) -> None:
    Delivery.objects.filter(event_id=events[2]).update(lane="retry")
    everything = rows_of(admin_client, f"{DELIVERIES}export/{kind}/")
    found = rows_of(admin_client, f"{DELIVERIES}export/{kind}/?lane__exact=retry&p=1")

    newest_first = list(Delivery.objects.order_by("-id").values_list("event__event_id", flat=True))
    assert [row["event_id"] for row in everything] == newest_first
    assert len(found) == 1
    assert found[0]["organization"] == organization.public_id
    assert ('"=1+1"' in found[0]["body"]) is (kind == "jsonl")
    assert '=1+1"' in found[0]["body"]


def test_a_receiver_s_answer_cannot_become_a_formula(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    receiver: Receiver,
    attempt: Callable[..., Any],
) -> None:
    subscribe()
    receiver.reply(Reply(500, {"X-Answer": "=2"}, b"=HYPERLINK(1)"))
    happen(organization)
    attempt(Delivery.objects.get())

    (row,) = rows_of(admin_client, f"{ATTEMPTS}export/csv/")
    (plain,) = rows_of(admin_client, f"{ATTEMPTS}export/jsonl/")

    assert row["response_body"] == "'=HYPERLINK(1)"
    assert "\"'=2" in row["response_headers"]
    assert plain["response_body"] == "=HYPERLINK(1)"
    assert plain["id"] == str(Attempt.objects.get().pk)


def test_bodies_are_left_out_for_who_may_not_see_them(events: list[str]) -> None:
    clerk = member("viewer")
    User.objects.get().user_permissions.add(Permission.objects.get(codename="export_delivery"))

    columns = set(rows_of(clerk, f"{DELIVERIES}export/csv/")[0])
    whole = set(rows_of(member("operator"), f"{DELIVERIES}export/csv/")[0])

    assert whole - columns == {"body"}


def test_a_long_list_is_read_in_chunks_up_to_the_bound(
    admin_client: Client, events: list[str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(export, "CHUNK_ROWS", 2)
    settings.EXPORT_ROWS_MAX = 3

    response = admin_client.get(f"{DELIVERIES}export/jsonl/")
    with CaptureQueriesContext(connection) as captured:
        lines = b"".join(response.streaming_content).splitlines()  # type: ignore[attr-defined]

    assert len(lines) == 3
    assert len(captured) == 2


def test_an_export_is_noted(admin_client: Client, events: list[str]) -> None:
    rows_of(admin_client, f"{DELIVERIES}export/csv/?state=pending")

    noted = AuditEntry.objects.get(action="delivery.exported")
    assert (noted.actor.split()[0], noted.after["filter"]) == ("admin", "state=pending")


def test_the_list_offers_it_with_its_filters_to_those_who_may(
    admin_client: Client, events: list[str]
) -> None:
    link = f'href="{DELIVERIES}export/csv/?state=pending"'

    assert link in admin_client.get(f"{DELIVERIES}?state=pending").content.decode()
    assert "/export/" not in member("viewer").get(DELIVERIES).content.decode()
    assert admin_client.get(f"{DELIVERIES}export/csv/?is_test__exact=maybe").status_code == 302
