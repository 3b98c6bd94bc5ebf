"""`manage.py rotate_encryption_key` seals URLs from before those with a query were encrypted."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from runs.models import Run, WorkflowVersion
from subscriptions.models import Subscription
from subscriptions.secrets import sealed_url
from tests.factories import Json, answer, completed_run, webhook, workflow
from tests.integration.test_rotate_encryption_key import rotate
from tests.receiver import Receiver

Attempting = Callable[..., Any]
PATH = "/hook?token=url-canary"


@pytest.fixture
def old(api: APIClient, receiver: Receiver, attempt: Attempting) -> Json:
    """Rows as the code before wrote them: one URL everywhere, one callback sent and one still open."""
    url = receiver.url(PATH)
    hook = webhook(api, url=url, events=["order.paid"])
    made = workflow(api, webhook_url=url)
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})
    for _ in range(2):
        completed_run(api, workflow_id=made["id"], webhook_url=url)
    attempt(Delivery.objects.earliest("id"))
    Subscription.objects.update(url=url, encrypted_url="")
    for model in (WorkflowVersion, Run):
        model._default_manager.update(webhook_url=url, encrypted_webhook_url="")
    Attempt.objects.update(url=url)
    for delivery in Delivery.objects.all():
        delivery.url = url
        if delivery.callback is not None:
            delivery.callback["url"] = url
            del delivery.callback["encrypted_url"], delivery.callback["target"]
        delivery.save()
    return {"hook": hook["id"], "workflow": made["id"], "url": url}


def plain() -> list[Any]:
    models = (Subscription, WorkflowVersion, Run, Delivery, Attempt)
    rows = [row for model in models for row in model._default_manager.values()]
    return [row for row in rows if "url-canary" in str(row)]


def test_no_query_is_left_in_plain_text_and_all_goes_on(
    old: Json, api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    assert len(plain()) == 8
    for path in ("deliveries", "webhooks/logs/all"):
        assert b"url-canary" not in api.get(f"/v1/{path}").content

    said = rotate()

    assert "8 URLs with a plain query were sealed" in said
    assert plain() == []
    assert answer(api.get(f"/v1/webhooks/{old['hook']}"))["url"] == old["url"]
    assert answer(api.get(f"/v1/workflows/{old['workflow']}"))["webhook_url"] == old["url"]
    attempt(Delivery.objects.latest("id"))
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})
    attempt(Delivery.objects.latest("id"))
    assert len(receiver.at(PATH)) == 3
    assert "sealed" not in rotate()


def test_callbacks_to_one_url_stay_one_target(old: Json) -> None:
    rotate()

    targets = {delivery.callback["target"] for delivery in Delivery.objects.all() if delivery.callback}
    assert len(targets) == 1
    assert "" not in targets


def test_check_only_counts_them(old: Json) -> None:
    assert "8 URLs with a plain query are to be sealed" in rotate("--check")
    assert len(plain()) == 8


def test_what_somebody_writes_meanwhile_wins(old: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    def races(url: str) -> tuple[str, str]:
        Subscription.objects.filter(Q(encrypted_url="")).update(url="https://example.com/newer")
        return sealed_url(url)

    monkeypatch.setattr("subscriptions.sealing.sealed_url", races)

    rotate()

    assert Subscription.objects.get().full_url == "https://example.com/newer"
