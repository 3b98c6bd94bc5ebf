"""The page of a replay of many: how far it is, how long it takes, and what came of it."""

import re
from datetime import timedelta

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from delivery.models import Delivery, Replay
from delivery.replays import services as replays
from delivery.replays.progress import progress
from delivery.states import State
from subscriptions.models import Organization, Subscription
from tests.integration.test_admin import DELIVERIES, shown
from tests.integration.test_replay import end, ended, start, subscription, through

__all__ = ["subscription"]
REPLAYS = "/admin/delivery/replay/"


def page(client: Client, replay: Replay) -> str:
    """As one reads it."""
    text = client.get(f"{REPLAYS}{replay.pk}/change/").content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text[text.index('id="live"') :]))


def copies() -> list[Delivery]:
    return list(Delivery.objects.exclude(replay=None).order_by("id"))


def test_it_shows_what_became_of_its_deliveries_with_a_link_to_each_kind(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    ended(organization, *[State.EXHAUSTED] * 4)
    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)
    first, second, third, fourth = copies()
    end(first, second, state=State.DELIVERED)
    end(third, state=State.EXHAUSTED)
    told = page(admin_client, replay)

    assert "4 of 4 looked at" in told
    assert "sent again 4 delivered 2 failed 1" in told
    assert [str(fourth.pk)] == shown(admin_client, f"{DELIVERIES}?replay={replay.pk}&state=pending")
    delivered = shown(admin_client, f"{DELIVERIES}?replay={replay.pk}&state=delivered")
    assert delivered == [str(second.pk), str(first.pk)]
    assert (
        f"?replay={replay.pk}&amp;state=delivered"
        in admin_client.get(f"{REPLAYS}{replay.pk}/change/").content.decode()
    )


def test_a_single_replay_belongs_to_none(organization: Organization, subscription: Subscription) -> None:
    (old,) = ended(organization)
    assert replays.replay(organization=organization, delivery_id=old.pk).replay is None


def test_it_says_how_long_it_will_take_by_how_fast_it_was(
    organization: Organization, subscription: Subscription
) -> None:
    replay = start(organization, states=(State.EXHAUSTED,))
    now = timezone.now()
    Replay.objects.update(matched=1_000, examined=250, replayed=200, created_at=now - timedelta(seconds=100))
    replay.refresh_from_db()

    found = progress(replay, now=now)

    assert found.rate_per_second == pytest.approx(2.0)
    assert found.left == timedelta(seconds=300)


@pytest.mark.parametrize(
    ("values", "is_known"),
    [({}, True), ({"matched": None}, False), ({"state": "paused"}, False)],
)
def test_nobody_knows_how_long_a_paused_or_uncounted_one_takes(
    organization: Organization, subscription: Subscription, values: dict[str, object], is_known: bool
) -> None:
    replay = start(organization, states=(State.EXHAUSTED,))
    Replay.objects.update(**{"matched": 1_000, **values})
    replay.refresh_from_db()

    assert (progress(replay, now=timezone.now()).left is not None) is is_known


def test_the_page_looks_again_until_nothing_more_will_change(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    ended(organization)
    replay = start(organization, states=(State.EXHAUSTED,))
    url = f"{REPLAYS}{replay.pk}/change/"
    refreshes = []

    refreshes.append("data-refresh-seconds" in admin_client.get(url).content.decode())
    through(replay)
    refreshes.append("data-refresh-seconds" in admin_client.get(url).content.decode())
    end(*copies(), state=State.DELIVERED)
    last = admin_client.get(url).content.decode()

    assert refreshes == [True, True]
    assert "data-refresh-seconds" not in last
    assert 'http-equiv="refresh"' not in last


@pytest.mark.parametrize(
    ("state", "offered"),
    [("running", {"pause", "cancel"}), ("paused", {"resume", "cancel"}), ("done", set())],
)
def test_it_offers_what_can_be_done_with_it_now(
    admin_client: Client,
    organization: Organization,
    subscription: Subscription,
    state: str,
    offered: set[str],
) -> None:
    replay = start(organization, states=(State.EXHAUSTED,))
    finished_at = timezone.now() if state == "done" else None
    Replay.objects.update(state=state, finished_at=finished_at)
    text = admin_client.get(f"{REPLAYS}{replay.pk}/change/").content.decode()

    assert set(re.findall(r'name="action" value="(\w+)"', text)) == offered


def test_the_page_that_starts_one_says_how_long_it_will_take(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    values = {"states": ["exhausted"], "rate_per_second": "0.05"}

    asked = admin_client.post(f"{REPLAYS}start/", values).content.decode()

    assert "3 of 3 would be replayed" in asked
    assert "so it takes at least 1 min" in asked


def test_rows_from_before_are_told_apart_from_none(
    admin_client: Client, organization: Organization, subscription: Subscription
) -> None:
    ended(organization)
    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)
    Delivery.objects.filter(replay=replay).update(replay=None, created_at=F("created_at"))

    assert "not on record" in page(admin_client, replay)
