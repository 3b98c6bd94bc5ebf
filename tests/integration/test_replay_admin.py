"""Replays in the admin: progress, pause, resume, cancel, and the page that starts one."""

import re

import pytest
from django.test import Client

from delivery.models import Replay
from delivery.states import State
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Organization, Subscription
from tests import admin_pages
from tests.integration.test_admin import staff
from tests.integration.test_replay import ended, replayed, start, subscription, through

__all__ = ["subscription"]

REPLAYS = "/admin/delivery/replay/"
START = f"{REPLAYS}start/"


def text_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return response.content.decode()


def act(client: Client, action: str, replay: Replay) -> str:
    return admin_pages.act(client, REPLAYS, action, replay.pk)


def test_the_list_of_deliveries_leads_to_a_page_filled_with_its_filter(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    query = f"organization={organization.public_id}&subscription={subscription.pk}&state=exhausted&created=24"
    listed = text_of(admin_client, f"/admin/delivery/delivery/?{query}")
    (link,) = re.findall(r'href="(/admin/delivery/replay/start/[^"]*)"', listed)

    page = text_of(admin_client, link.replace("&amp;", "&"))

    assert f'value="{organization.public_id}"' in page
    assert f'value="{subscription.pk}"' in page
    assert re.search(r'value="exhausted"[^>]*checked', page)
    assert re.search(r'name="since" value="20\d\d-', page)
    assert "which a replay cannot do" not in page
    assert "also filtered by lane__exact," in text_of(admin_client, f"{START}?lane__exact=retry")


def test_the_number_is_shown_before_anything_is_replayed(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    rows = ended(organization, State.EXHAUSTED, State.EXHAUSTED, State.BLOCKED, State.DELIVERED)
    values = {"organization": organization.name, "states": ["exhausted"], "rate_per_second": "5"}

    asked = admin_client.post(START, values).content.decode()
    assert "2 of 2 would be replayed" in asked
    assert not Replay.objects.exists()
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', asked)
    confirmed = {name: value for name, value in hidden if name != "csrfmiddlewaretoken"}
    assert confirmed["confirmed"] == "on"
    page = admin_client.post(START, confirmed, follow=True).content.decode()

    replay = Replay.objects.get()
    assert (replay.organization, replay.rate_per_second, replay.matched) == (organization, 5.0, 2)
    assert "0 of 2" in page
    noted = AuditEntry.objects.get(action="replay.created")
    assert (noted.object_id, noted.actor.split()[0]) == (str(replay.pk), "admin")
    through(replay)
    assert replayed() == sorted(row.pk for row in rows[:2])


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "At least one filter is needed"),
        ({"organization": "nobody"}, "There is no such organization"),
        ({"states": ["blocked"], "rate_per_second": "-1"}, "rate_per_second must be from"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "until must be later than since"),
        ({"since": "soon"}, "Enter a valid date/time"),
    ],
)
def test_nonsense_is_told_and_starts_nothing(admin_client: Client, values: dict[str, str], text: str) -> None:
    page = admin_client.post(START, values | {"confirmed": "on"}).content.decode()

    assert text in page
    assert not Replay.objects.exists()


def test_a_replay_is_paused_resumed_and_cancelled(admin_client: Client, organization: Organization) -> None:
    replay = start(organization, states=(State.EXHAUSTED,))
    states = []

    for action in ("pause", "resume", "cancel"):
        assert "1 replay." in act(admin_client, action, replay)
        replay.refresh_from_db()
        states.append(replay.state)

    assert states == ["paused", "running", "cancelled"]
    assert "the replay is cancelled already" in act(admin_client, "resume", replay)
    assert str(replay.pk) in text_of(admin_client, f"{REPLAYS}?q={replay.pk}")


def test_who_may_only_view_starts_and_moves_nothing(organization: Organization) -> None:
    viewer, replay = staff(), start(organization, states=(State.EXHAUSTED,))

    assert viewer.get(START).status_code == 403
    assert viewer.post(START, {"states": ["exhausted"], "confirmed": "on"}).status_code == 403
    act(viewer, "cancel", replay)

    replay.refresh_from_db()
    assert replay.state == "running"
    assert Replay.objects.count() == 1
    assert 'value="cancel"' not in text_of(viewer, f"{REPLAYS}{replay.pk}/change/")
