"""The admin's start page: is everything all right?"""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from threading import Event

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delivery import doctor, slow_rows
from delivery.admin import overview
from delivery.doctor.finding import Finding, error, ok, warning
from delivery.models import Delivery, StatsMark
from delivery.presence import Presence
from subscriptions.models import Organization, Subscription
from tests.admin_pages import member
from tests.counted import FAILED, TIMED_OUT, attempted, count
from tests.integration.test_admin import staff
from tests.integration.test_outbox import happen
from tests.integration.test_queries import statements

START = "/admin/"
_CARD = re.compile(
    r'<li class="(\w+)">\s*<a href="([^"]+)">([^<]+)</a>\s*<strong>([^<]+)</strong>\s*<span[^>]*>([^<]*)<'
)


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What the doctor says, at once: what it looks at is tested elsewhere."""

    def says(*findings: Finding) -> None:
        monkeypatch.setattr(doctor, "examine", lambda: list(findings))
        monkeypatch.setattr(overview, "EXAMINED_MAX_SECONDS", 30.0)
        monkeypatch.setattr(overview, "examination", overview.Examination())

    says(ok("database.answers", "the database answers"))
    return says


def page(client: Client, span: str = "day") -> str:
    response = client.get(START, {"span": span})
    assert response.status_code == 200
    return response.content.decode()


def cards(text: str) -> dict[str, tuple[str, str, str, str]]:
    """Level, value, note and link of each card by its title."""
    return {
        title: (level, value, note, unescape(url)) for level, url, title, value, note in _CARD.findall(text)
    }


def charts(text: str) -> dict[str, str]:
    return {
        re.findall(r"<a href[^>]*>([^<]+)</a>", part)[0]: part
        for part in text.split('<figure class="chart">')[1:]
    }


def test_it_says_first_whether_everything_is_all_right(
    admin_client: Client, examined: Callable[..., None]
) -> None:
    assert "Everything is all right: 1 of 1 checks pass" in page(admin_client)

    examined(ok("a", "fine"), warning("b.c", "so <so>", "Do this"), error("d.e", "bad", "Do that"))
    text = page(admin_client)

    assert "Not everything is all right: 1 error and 1 warning" in text
    assert text.index("<code>d.e</code> bad. Do that") < text.index("<code>b.c</code> so &lt;so&gt;. Do this")
    assert "fine" not in text.partition('class="spans"')[0].partition('role="status"')[2]


def test_a_doctor_who_takes_long_does_not_keep_the_page_waiting(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Event()

    def examine() -> list[Finding]:
        done.wait(30)
        return [ok("a", "fine")]

    monkeypatch.setattr(doctor, "examine", examine)
    monkeypatch.setattr(overview, "EXAMINED_MAX_SECONDS", 0.01)
    try:
        assert "The doctor is still looking" in page(admin_client)
    finally:
        done.set()
    monkeypatch.setattr(overview, "EXAMINED_MAX_SECONDS", 30.0)
    assert "Everything is all right" in page(admin_client)


def test_cards_say_how_it_went_and_lead_to_the_rows(admin_client: Client) -> None:
    past = timezone.now() - timedelta(minutes=20)
    attempted(95, at=past, waited_ms=40.0)
    attempted(5, at=past, **FAILED)
    count()

    for span, hours in (("hour", "1"), ("day", "24"), ("week", "168"), ("month", "720")):
        found = cards(page(admin_client, span))
        level, value, note, url = found["Success rate"]
        assert (level, value, note) == ("warning", "95 %", "95 delivered, 5 given up")
        assert url == f"/admin/delivery/delivery/?created={hours}&state=exhausted"
        assert found["Attempts"][1] == "100"
        assert found["To the first attempt, p95"][1].endswith(" ms")


def test_cards_say_what_waits_and_who_works(
    admin_client: Client, organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    subscription = subscribe()
    gone = subscribe()
    for _ in range(3):
        happen(organization)
    late, held, *_ = Delivery.objects.filter(subscription=subscription)
    Delivery.objects.filter(pk=late.pk).update(next_attempt_at=timezone.now() - timedelta(hours=3))
    Delivery.objects.filter(pk=held.pk).update(state="held", reason="gone", next_attempt_at=None)
    Subscription.objects.filter(pk=subscription.pk).update(failing_since=timezone.now())
    Subscription.objects.filter(pk=gone.pk).update(disabled_at=timezone.now(), disabled_reason="gone")
    slow_rows.exchange({(organization.pk, "https://hangs.example:443"): 3}, set())
    Presence("worker-1@host", lambda: ["deliveries.first"], 8).say_if_due()

    found = cards(page(admin_client))

    level, value, note, url = found["Oldest due"]
    assert (level, value) == ("error", "3 h")
    assert note == "due: first 5 · retry 0 · replay 0 · slow 0"
    assert url == "/admin/delivery/delivery/?state=pending&lane__exact=first"
    assert found["Workers"][:3] == ("ok", "1", "8 places")
    assert found["Held"][:2] == ("warning", "1")
    assert found["Slow receivers"][:2] == ("warning", "1")
    for title, name in (("Failing subscriptions", subscription), ("Disabled subscriptions", gone)):
        level, value, _, url = found[title]
        assert (level, value) == ("warning", "1")
        listed = admin_client.get(url).content.decode()
        assert (str(subscription.pk) in listed, str(gone.pk) in listed) == (
            name == subscription,
            name == gone,
        )


def test_every_link_of_the_page_leads_to_a_page(admin_client: Client) -> None:
    attempted(3, at=timezone.now())
    attempted(1, at=timezone.now() - timedelta(minutes=1), **TIMED_OUT)
    attempted(1, at=timezone.now() - timedelta(minutes=1), **FAILED)
    count()
    links = set(re.findall(r'href="(/admin/(?:delivery|subscriptions)/[^"]*)"', page(admin_client, "hour")))

    assert any("answer=5" in link for link in links)
    assert any("error_class=" in link for link in links)
    for link in sorted(links):
        assert admin_client.get(unescape(link)).status_code == 200, link


def test_plots_have_their_numbers_beside_them_as_a_table(admin_client: Client) -> None:
    at = timezone.now() - timedelta(minutes=20)
    attempted(3, at=at)
    attempted(2, at=at, **FAILED)
    count()

    found = charts(page(admin_client, "hour"))

    assert set(found) == {"Deliveries", "To the first attempt", "Requests", "Attempts by answer"}
    line = f'<tr><th scope="row">{at:%Y-%m-%d %H:%M}</th><td>3</td><td>2</td></tr>'
    assert line in found["Deliveries"]
    assert line in found["Attempts by answer"]
    assert found["Deliveries"].count("<tr>") == 61
    assert 'aria-label="Deliveries: 3 delivered, 2 given up"' in found["Deliveries"]
    assert found["Attempts by answer"].count('<rect class="answer-') == 2
    assert "<polyline" in found["Requests"]


@pytest.mark.parametrize("span", ["hour", "day", "week", "month", "nonsense"])
def test_a_service_in_which_nothing_has_happened_has_a_page(admin_client: Client, span: str) -> None:
    text = page(admin_client, span)

    assert "Nothing is counted yet: does beat run" in text
    assert cards(text)["Success rate"][:2] == ("ok", "-")
    assert cards(text)["Workers"][:2] == ("error", "0")


def test_it_says_how_far_behind_the_counts_are(admin_client: Client) -> None:
    StatsMark.objects.create(counted_until=timezone.now() - timedelta(seconds=12))
    assert "Counted up to 12 s ago\n" in page(admin_client)
    StatsMark.objects.update(counted_until=timezone.now() - timedelta(hours=3))
    assert "Counted up to 3 h ago: does beat run" in page(admin_client)


def test_a_viewer_sees_it_and_who_may_not_see_all_of_it_sees_only_the_apps() -> None:
    assert 'class="cards"' in page(member("viewer"))

    somebody = staff()
    assert 'class="cards"' in page(somebody)
    user = User.objects.get(username="somebody")
    user.user_permissions.remove(user.user_permissions.get(codename="view_slowreceiver"))
    text = page(somebody)
    assert 'class="cards"' not in text
    assert "/admin/delivery/delivery/" in text


def test_it_is_for_those_who_are_logged_in(client: Client) -> None:
    assert client.get(START).status_code == 302


def test_nothing_in_it_needs_more_than_the_policy_allows(admin_client: Client) -> None:
    attempted(3, at=timezone.now())
    count()
    text = page(admin_client, "hour")

    assert " style=" not in text
    assert "<style" not in text
    assert not re.findall(r"<script(?![^>]* src=)[^>]*>", text)


def test_its_statements_are_few_and_none_reads_the_log(admin_client: Client) -> None:
    attempted(3, at=timezone.now())
    count()
    page(admin_client)

    with CaptureQueriesContext(connection) as captured:
        page(admin_client, "month")

    assert statements(captured) == [
        "SELECT django_session",
        "SELECT auth_user",
        "SELECT delivery_attemptcount",
        "SELECT delivery_statsmark",
        "SELECT delivery_delivery",  # due, by lane
        "SELECT delivery_worker",
        "SELECT delivery_delivery",  # held
        "SELECT subscriptions_subscription",  # failing
        "SELECT subscriptions_subscription",  # disabled
        "SELECT delivery_slowreceiver",
        "SELECT",  # Django's own list of recent actions
    ]
