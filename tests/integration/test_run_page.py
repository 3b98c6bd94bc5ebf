"""A run's page tells what happened: its steps, its events, and whom they were told."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from delivery.models import Delivery
from runs import timeline
from runs.models import Run
from subscriptions.models import Subscription
from tests import factories
from tests.receiver import Receiver

Subscribe = Callable[..., Subscription]


def page(client: Client) -> str:
    response = client.get(f"/admin/runs/run/{Run.objects.get().pk}/change/")
    assert response.status_code == 200
    return response.content.decode()


def told(text: str) -> str:
    """The time line, as one reads it."""
    section = text[text.index('id="timeline"') :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[: section.index("</section>")]))


@pytest.fixture
def run(api: APIClient, subscribe: Subscribe, receiver: Receiver, attempt: Callable[..., Any]) -> str:
    subscribe(name="Shop", retry_schedule=[60])
    made = factories.started_run(api)["id"]
    for move in ("steps/draw/start", "steps/draw/complete", "fail"):
        factories.report(api, made, move, {"error": {"message": "no paint"}} if move == "fail" else None)
    receiver.reply(204, 503)
    for delivery in Delivery.objects.order_by("id")[:2]:
        attempt(delivery)
    return str(made)


def test_steps_events_and_webhooks_come_in_order(admin_client: Client, run: str) -> None:
    text = told(page(admin_client))

    places = [
        text.index(part)
        for part in ("Created", "workflow.started", "step.started", "step.completed", "workflow.failed")
    ]
    assert places == sorted(places)
    assert "Step 0: draw completed" in text or "Step 1: draw completed" in text
    assert re.search(r"Ended after [\d.]+ (ms|s) failed", text)
    assert re.search(r"delivered Shop, 127\.0\.0\.1:\d+ : answered 204, 1 attempt", text)
    assert re.search(r"waiting Shop, 127\.0\.0\.1:\d+ : answered 503, 1 attempt, next at 20", text)


def test_it_leads_to_each_delivery_event_and_step(admin_client: Client, run: str) -> None:
    text = page(admin_client)

    for delivery in Delivery.objects.all():
        assert f'href="/admin/delivery/delivery/{delivery.pk}/change/"' in text
        assert f'href="/admin/delivery/event/{delivery.event_id}/change/"' in text
    assert f'href="/admin/runs/step/{Run.objects.get().steps.get().pk}/change/"' in text


def test_an_event_leads_to_its_run(admin_client: Client, run: str) -> None:
    event = Delivery.objects.all()[0].event_id
    text = admin_client.get(f"/admin/delivery/event/{event}/change/").content.decode()

    assert f'<a href="/admin/runs/run/{Run.objects.get().pk}/change/">{run}</a>' in text


def test_more_webhooks_need_no_more_queries(admin_client: Client, subscribe: Subscribe, run: str) -> None:
    page(admin_client)
    counts = []
    for number in (1, 5):
        for copy in Delivery.objects.order_by("id")[:number]:
            Delivery.objects.create(
                organization_id=copy.organization_id,
                event_id=copy.event_id,
                body_id=copy.body_id,
                subscription_id=copy.subscription_id,
                url=copy.url,
                webhook_id=copy.webhook_id,
            )
        with CaptureQueriesContext(connection) as captured:
            page(admin_client)
        counts.append(len(captured))

    assert counts[0] == counts[1]


def test_of_a_very_long_run_the_beginning_is_shown(
    admin_client: Client, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page(admin_client)
    monkeypatch.setattr(timeline, "EVENTS_SHOWN_MAX", 2)

    assert "Only the beginning is shown" not in whole
    assert "Only the beginning is shown" in page(admin_client)


def test_while_it_goes_on_the_page_looks_again(admin_client: Client, api: APIClient) -> None:
    run = factories.started_run(api)["id"]
    running = page(admin_client)
    factories.report(api, run, "complete")

    assert "data-refresh-seconds" in running
    assert "data-refresh-seconds" not in page(admin_client)


def test_a_delivery_leads_to_its_event_its_run_and_its_subscription(
    admin_client: Client, api: APIClient, subscribe: Subscribe
) -> None:
    hook = subscribe()
    workflow = api.post("/v1/workflows", {"name": "w"}).data["id"]
    run = api.post("/v1/runs", {"workflow_id": workflow}).data["id"]
    api.post(f"/v1/runs/{run}/start")
    delivery = Delivery.objects.get()

    text = admin_client.get(f"/admin/delivery/delivery/{delivery.pk}/change/").content.decode()

    assert re.search(rf'<a href="/admin/runs/run/\d+/change/">{run}</a>', text)
    assert f'href="/admin/delivery/event/{delivery.event_id}/change/">workflow.started</a>' in text
    assert f'href="/admin/subscriptions/subscription/{hook.pk}/change/"' in text
