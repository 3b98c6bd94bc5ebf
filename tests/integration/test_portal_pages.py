"""What all pages of the portal have in common: for machines and keyboards, safe, by few statements."""

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from portal import log
from subscriptions.models import Subscription
from tests.factories import answer, webhook
from tests.integration.dialects.test_leap import make_workflow
from tests.integration.test_escaping import PLANTED, holes
from tests.portal_pages import Page, Portal, portal_of

CONTROLS = ("input", "select", "textarea")


@pytest.fixture
def paths(api: APIClient) -> dict[str, str]:
    """Each page, by its name."""
    subscription = webhook(api, name=PLANTED[:60])["id"]
    answer(api.post("/v1/events", {"event_type": "a.b", "data": {PLANTED: PLANTED}}), 202)
    delivery = Delivery.objects.get()
    Attempt.objects.create(
        organization_id=delivery.organization_id,
        delivery=delivery,
        subscription_id=subscription,
        event_id="evt_1",
        event_type="a.b",
        url="https://hooks.example.com/",
        number=1,
        success=False,
        status_code=500,
        error_message=PLANTED,
        response_body=PLANTED,
    )
    replay = answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)["id"]
    workflow = make_workflow(api, name=PLANTED[:60], payload_format="leap_v1")["id"]
    return {
        "subscriptions": "",
        "subscription": f"subscriptions/{subscription}/",
        "edit": f"subscriptions/{subscription}/edit",
        "delete": f"subscriptions/{subscription}/delete",
        "new": "subscriptions/new",
        "log": "log",
        "log of one": f"log?subscription={subscription}",
        "delivery": f"deliveries/{delivery.pk}",
        "replays": "replays",
        "replay": f"replays/{replay}",
        "workflows": "workflows",
        "workflow": f"workflows/{workflow}",
    }


@pytest.fixture
def portal(api: APIClient) -> Portal:
    return portal_of(api)


def test_every_page_can_be_read_by_a_machine_and_used_by_keyboard(
    portal: Portal, paths: dict[str, str]
) -> None:
    titles = []
    for name, path in paths.items():
        page = portal.get(path)
        assert page.status == 200, name
        titles.append(page.inside("title")[0])
        assert page.attributes("html") == [{"lang": "en"}], name
        assert len(page.attributes("h1")) == len(page.attributes("main")) == 1, name
        assert page.links["Skip to the content"] == f"#{page.attributes('main')[0]['id']}", name
        assert page.attributes("meta")[1]["content"] == "width=device-width, initial-scale=1", name
        _headings_leave_no_level_out(page, name)
        _every_control_has_a_label(page, name)
        _what_is_referred_to_is_there_once(page, name)
    assert len(set(titles)) >= len(paths) - 1


def _headings_leave_no_level_out(page: Page, name: str) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1, name
    assert all(after <= before + 1 for before, after in pairwise(levels)), name


def _every_control_has_a_label(page: Page, name: str) -> None:
    labelled = {a["for"] for a in page.attributes("label") if "for" in a}
    for tag, attributes in page.tags:
        if tag in CONTROLS and attributes.get("type") != "hidden":
            assert attributes["id"] in labelled, f"{name}: {attributes}"


def _what_is_referred_to_is_there_once(page: Page, name: str) -> None:
    ids = Counter(a["id"] for _, a in page.tags if "id" in a)
    assert set(ids.values()) == {1}, f"{name}: {ids}"
    for _, attributes in page.tags:
        for reference in ("aria-labelledby", "aria-describedby"):
            assert set(attributes.get(reference, "").split()) <= set(ids), f"{name}: {attributes}"


def test_every_page_says_where_one_is(portal: Portal, paths: dict[str, str]) -> None:
    for name, section in [
        ("subscriptions", "Subscriptions"),
        ("log", "Log"),
        ("replays", "Replay"),
        ("workflows", "Workflows"),
    ]:
        page = portal.get(paths[name])
        current = [a["href"] for a in page.attributes("a") if a.get("aria-current") == "page"]
        assert current == [page.links[section]], name


def test_whatever_strangers_wrote_is_text(portal: Portal, paths: dict[str, str]) -> None:
    for name, path in paths.items():
        assert holes(portal.client.get(portal.home + path)) == [], name


def test_pages_are_kept_by_no_cache_and_no_other_site_learns_of_them(
    portal: Portal, paths: dict[str, str]
) -> None:
    for path in paths.values():
        response = portal.client.get(portal.home + path)
        assert response["Cache-Control"] == "no-store"
        assert response["Referrer-Policy"] == "same-origin"
        assert "'unsafe-inline'" not in response["Content-Security-Policy"]
        assert response["X-Frame-Options"] == "DENY"


def test_its_files_are_there(portal: Portal) -> None:
    page = portal.get()

    files = [a["href"] for a in page.attributes("link")] + [a["src"] for a in page.attributes("script")]
    assert len(files) == 2
    assert all(finders.find(file.removeprefix("/static/")) for file in files)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        # Each: the organization, and what the page is about.
        ("subscriptions", 3),
        ("subscription", 4),
        ("log", 2),
        ("log of one", 3),
        ("delivery", 5),
        ("replays", 2),
        ("replay", 2),
        ("workflows", 3),
        ("workflow", 3),
    ],
)
def test_a_page_takes_few_statements(
    portal: Portal, paths: dict[str, str], name: str, most: int, kept_and_counted: None
) -> None:
    portal.get(paths[name])  # the key is known from now on

    with CaptureQueriesContext(
        connection,
    ) as queries:
        portal.client.get(portal.home + paths[name])

    assert len(queries) == most, "\n".join(query["sql"] for query in queries)


def fill_log(subscription: Subscription, rows: int) -> None:
    """So many attempts that were accepted."""
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO delivery_attempt (id, organization_id, delivery_id, subscription_id, event_id,
                event_type, url, number, success, error_class, error_message, request_headers,
                response_headers, is_test, late)
            SELECT uuidv7(), %s, uuidv7(), %s, 'evt', 'a.b', 'https://hooks.example.com/', 1, true, '', '',
                '{}', '{}', false, false
            FROM generate_series(1, %s)""",
            [subscription.organization_id, subscription.pk, rows],
        )


def lowest(plan: Any) -> list[Any]:
    """The parts of a plan that read the tables."""
    below = plan.get("Plans", [])
    return [node for part in below for node in lowest(part)] or [plan]


@pytest.mark.parametrize("failed", [True, False])
@pytest.mark.parametrize("of_one", [True, False])
def test_the_log_reads_a_bounded_part_of_its_own_index(
    api: APIClient, other_api: APIClient, monkeypatch: pytest.MonkeyPatch, of_one: bool, failed: bool
) -> None:
    """Also where others have gone on since, and where nothing fails."""
    own, busy, others = (
        Subscription.objects.get(pk=webhook(client)["id"]) for client in (api, api, other_api)
    )
    # To so many rows as 5,000 to a million.
    monkeypatch.setattr(log, "SCANNED_ROWS_MAX", 100)
    fill_log(own, 5_000)
    for subscription in (busy, others) if of_one else (others, others):
        fill_log(subscription, 10_000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE delivery_attempt")
    organization = own.organization

    with CaptureQueriesContext(connection) as queries:
        found = log.log_page(organization, own if of_one else None, before=None, failed=failed)

    assert (len(found.attempts), found.is_cut) == ((0, True) if failed else (50, False))
    assert len(queries) == (2 if failed else 1)
    for query in list(queries):
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"])
            (((plan,),),) = cursor.fetchall()
        for node in lowest(plan["Plan"]):
            looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            assert looked_at * node["Actual Loops"] <= 100, node
            assert node["Index Name"].startswith(("attempt_of_", "delivery_attempt_pkey")), node


def test_the_subscriptions_list_reads_no_secret(portal: Portal, paths: dict[str, str]) -> None:
    with CaptureQueriesContext(connection) as queries:
        portal.get()

    read = [query["sql"] for query in queries if "subscriptions_subscription" in query["sql"]]
    assert read
    assert not any("encrypted" in sql for sql in read)
