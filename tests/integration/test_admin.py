"""The admin's lists and the pages of deliveries, attempts, events, runs."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from delivery import slow_rows
from delivery.canary import mark_seen
from delivery.custom_events import custom_event
from delivery.models import Delivery, Event
from delivery.presence import Presence
from delivery.replays import services as replays
from delivery.states import State
from runs.models import Run
from subscriptions import notices
from subscriptions.admin import paginator
from subscriptions.models import Organization, Subscription

Subscribe = Callable[..., Subscription]
OURS = [model for model in site._registry if model._meta.app_label in ("subscriptions", "delivery", "runs")]
DELIVERIES = "/admin/delivery/delivery/"


def staff(*permissions: str) -> Client:
    """Logged in as somebody who may view everything, and what `permissions` name."""
    user = User.objects.create_user("somebody", is_staff=True)
    seen = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set(seen | Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def happen(organization: Organization, number: int = 1, **data: Any) -> list[Event]:
    return [
        custom_event(organization=organization, event_type="order.paid", data={"n": n, **data}, event_id=None)
        for n in range(number)
    ]


def end(state: State = State.EXHAUSTED) -> None:
    Delivery.objects.update(state=state, finished_at=timezone.now(), next_attempt_at=None)


def shown(client: Client, url: str) -> list[str]:
    """The keys of the rows of a list, in order."""
    response = client.get(url)
    assert response.status_code == 200, url
    return re.findall(r'name="_selected_action" value="([^"]+)"', response.content.decode())


@pytest.fixture
def a_run(api: APIClient, subscribe: Subscribe, attempt: Callable[..., Any]) -> str:
    """A run with a step and delivered events, so that every table has rows."""
    subscribe()
    workflow = api.post("/v1/workflows", {"name": "w"}).data["id"]
    run: str = api.post("/v1/runs", {"workflow_id": workflow}).data["id"]
    for path in ("start", "steps/one/start", "steps/one/complete", "complete"):
        assert api.post(f"/v1/runs/{run}/{path}", {}).status_code == 200
    for delivery in Delivery.objects.all():
        attempt(delivery)
    mark_seen()
    assert api.post("/v1/replays", {"states": ["exhausted"]}).status_code == 202
    notices.add(Organization.objects.get(), subject="A webhook was disabled", text="Your webhook …")
    Presence("worker-1@host", lambda: ["deliveries.first"], 8).say_if_due()
    slow_rows.exchange({(Organization.objects.get().pk, "https://hangs.example:443"): 3}, set())
    # A lone surrogate: JSON can say it, a page cannot.
    Run.objects.update(input={"text": "\ud800<b>"})
    return run


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label_lower)
def test_each_list_and_page_opens(admin_client: Client, a_run: str, model: Any) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    for client in (admin_client, staff()):
        assert client.get(reverse(f"{name}_changelist")).status_code == 200
        for row in model.objects.all():
            assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert model.objects.exists() or model._meta.model_name == "apikey"


@pytest.mark.parametrize("name", ["organization", "apikey", "subscription"])
def test_what_people_make_has_a_form_to_add_it(admin_client: Client, name: str) -> None:
    assert admin_client.get(f"/admin/subscriptions/{name}/add/").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        *("event", "eventbody", "delivery", "attempt", "replay", "canary", "worker", "run", "step"),
        *("signingsecret", "slowreceiver"),
    ],
)
def test_records_cannot_be_written(admin_client: Client, a_run: str, name: str) -> None:
    model = next(model for model in OURS if model._meta.model_name == name)
    key = model._default_manager.values_list("pk", flat=True)[0]
    for page in ("add", f"{key}/change", f"{key}/delete"):
        url = f"/admin/{model._meta.app_label}/{name}/{page}/"
        assert admin_client.post(url, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("path", ["event", "eventbody", "delivery", "attempt"])
def test_more_rows_need_no_more_queries(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    attempt: Callable[..., Any],
    path: str,
) -> None:
    subscribe()
    counts = []
    for number in (1, 8):
        happen(organization, number)
        for delivery in Delivery.objects.filter(state=State.PENDING):
            attempt(delivery)
        admin_client.get(f"/admin/delivery/{path}/")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            admin_client.get(f"/admin/delivery/{path}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_list_counts_no_further_than_its_bound(
    admin_client: Client,
    organization: Organization,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    happen(organization, 7)
    monkeypatch.setattr(paginator, "COUNTED_ROWS_MAX", 4)
    assert "5 deliveries" in admin_client.get(DELIVERIES).content.decode()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_delivery")
    assert "7 deliveries" in admin_client.get(DELIVERIES).content.decode()
    assert "5 deliveries" in admin_client.get(f"{DELIVERIES}?state=pending").content.decode()


def test_counting_gives_up_in_time(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    happen(organization)
    monkeypatch.setattr(paginator, "COUNT_MAX_MILLISECONDS", 50)
    slow = Delivery.objects.order_by("id").extra(where=["pg_sleep(5) IS NOT NULL"])
    assert paginator.BoundedPaginator(slow, 100).count == paginator.COUNTED_ROWS_MAX + 1


def test_a_list_offers_no_page_beyond_the_bound(
    admin_client: Client, organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    happen(organization, 7)
    monkeypatch.setattr(paginator, "COUNTED_ROWS_MAX", 4)
    monkeypatch.setattr(site.get_model_admin(Delivery), "list_per_page", 2)
    assert len(shown(admin_client, f"{DELIVERIES}?p=2")) == 2
    assert admin_client.get(f"{DELIVERIES}?p=3").status_code == 302


def test_deliveries_are_found_by_every_id_and_by_the_url(
    admin_client: Client, api: APIClient, organization: Organization, subscribe: Subscribe
) -> None:
    wanted = subscribe()
    workflow = api.post("/v1/workflows", {"name": "w"}).data["id"]
    run = api.post("/v1/runs", {"workflow_id": workflow}).data["id"]
    api.post(f"/v1/runs/{run}/start")
    delivery = Delivery.objects.get()
    subscribe(url=wanted.url + "/other", events=["order.paid"])
    happen(organization)
    end()
    renamed = replays.replay(organization=organization, delivery_id=delivery.id, new_id=True)
    event = delivery.event
    both = [str(renamed.id), str(delivery.id)]
    expected = {
        str(delivery.id): both[1:],
        str(event.id): both,
        event.event_id: both,
        renamed.webhook_id: both[:1],
        run: both,
        wanted.url + "/oth": [str(Delivery.objects.get(url=wanted.url + "/other").id)],
        "0": [],
        "nonsense": [],
        "0190-not-a-uuid": [],
    }
    for term, keys in expected.items():
        assert shown(admin_client, f"{DELIVERIES}?q={quote(term)}") == keys, term
    assert len(shown(admin_client, f"{DELIVERIES}?q={wanted.pk}")) == 3
    assert len(shown(admin_client, f"{DELIVERIES}?q={quote(wanted.url)}")) == 4
    assert admin_client.get(f"{DELIVERIES}?q=%00").status_code == 200


def test_deliveries_are_filtered(
    admin_client: Client,
    organization: Organization,
    other_organization: Organization,
    subscribe: Subscribe,
) -> None:
    hook = subscribe()
    happen(organization, 2)
    Delivery.objects.filter(id=Delivery.objects.order_by("id")[0].id).update(
        state=State.BLOCKED, finished_at=timezone.now()
    )
    sizes = {
        "state=blocked": 1,
        "state=pending": 1,
        f"organization={organization.public_id}": 2,
        f"organization={organization.name}&state=blocked": 1,
        f"organization={other_organization.public_id}": 0,
        f"subscription={hook.pk}": 2,
        f"subscription={2**63}": 0,
        f"subscription={'9' * 5000}": 0,
        "subscription=x": 0,
        "created=1": 2,
        "created=x": 2,
        "lane__exact=replay": 0,
        "is_test__exact=1": 0,
    }
    assert {query: len(shown(admin_client, f"{DELIVERIES}?{query}")) for query in sizes} == sizes


def test_a_workflow_is_renamed_and_keeps_its_version(
    admin_client: Client, api: APIClient, organization: Organization
) -> None:
    api.post("/v1/workflows", {"name": "old"})
    workflow = organization.workflows.get()
    admin_client.post(f"/admin/runs/workflow/{workflow.pk}/change/", {"name": "new"})
    renamed = organization.workflows.get()
    assert (renamed.name, renamed.version) == ("new", workflow.version)
