"""Whatever an outsider writes is text on every page: planted HTML comes back escaped."""

import re
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.admin import site
from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, models
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery, EventBody
from runs.models import Run, Workflow
from subscriptions.models import Organization, Subscription
from tests.admin_pages import ask
from tests.factories import answer
from tests.integration.test_admin import a_run

__all__ = ["a_run"]

HTML = "<script>owned</script>"
ATTRIBUTE = "\"'><img src=x onerror=owned>"
PLANTED = f"{HTML}{ATTRIBUTE}"
FITS = "<b owned>"
# Written by the service itself; planting there would break what the pages need.
OURS = {
    *("id", "public_id", "key_hash", "state", "status", "kind", "lane", "payload_format", "dialect"),
    *("retry_policy", "scopes", "signature_schemes", "disabled_reason", "encrypted_key", "encrypted_secret"),
    *("encrypted_headers", "encrypted_webhook_secret", "callback", "actor_kind", "filter", "skipped"),
}


class Tags(HTMLParser):
    """Every tag and attribute with `owned` in it, and every script whose text has it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if any("owned" in name or (name.startswith("on") and value) for name, value in attrs):
            self.found.append(f"<{tag} {attrs}>")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style") and "owned" in data:
            self.found.append(data)


def holes(response: Any) -> list[str]:
    text = response.content.decode()
    tags = Tags()
    tags.feed(text)
    return tags.found + [before[-100:] for before in text.split(HTML)[:-1]]


def planted(field: Any) -> Any:
    """A value for the field, or None where it can hold no text."""
    if isinstance(field, ArrayField):
        texts = isinstance(field.base_field, models.CharField) and not field.base_field.choices
        return [FITS] if texts else None
    if isinstance(field, models.JSONField) or type(field).__name__ == "OrderedJSONField":
        return {PLANTED: PLANTED, "message": PLANTED}
    if isinstance(field, models.BinaryField):
        return PLANTED.encode()
    if isinstance(field, models.CharField | models.TextField) and not field.choices:
        longest = field.max_length or 10_000
        return PLANTED if longest >= len(PLANTED) + 8 else FITS
    return None


def plant() -> set[str]:
    """Everywhere, past every check: what the pages show has to be safe without them."""
    filled = set()
    for model in site._registry:
        if model._meta.label in ("auth.User", "auth.Group", "subscriptions.AuditEntry", "delivery.Worker"):
            continue
        for field in model._meta.concrete_fields:
            value = None if field.name in OURS else planted(field)
            if value is None or not model._default_manager.exists():
                continue
            for row in model._default_manager.all():
                unique = f"{value}{row.pk}" if isinstance(value, str) and field.unique else value
                # A constraint may allow it in some rows only.
                with suppress(IntegrityError):
                    model._default_manager.filter(pk=row.pk).update(**{field.name: unique})
                    filled.add(f"{model._meta.label}.{field.name}")
    return filled


@pytest.fixture
def hostile_world(a_run: str, api: APIClient) -> set[str]:
    answer(api.post("/v1/workflows", {"name": PLANTED, "dialect": "leap"}), 201)
    answer(api.post("/v1/webhooks", {"name": PLANTED, "url": "https://a.example/", "events": ["*"]}), 201)
    return plant()


def test_every_admin_page_shows_it_as_text(admin_client: Client, hostile_world: set[str]) -> None:
    assert len(hostile_world) >= 40
    walked, shown = 0, 0
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        urls = [reverse(f"{name}_changelist")]
        urls += [reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:3]]
        for url in urls:
            response = admin_client.get(url)
            assert response.status_code == 200, url
            assert holes(response) == [], url
            walked += 1
            shown += "&lt;script&gt;owned" in response.content.decode()
    assert walked > 40
    assert shown > 20


def test_settings_page_replay_page_and_questions_show_it_as_text(
    admin_client: Client, hostile_world: set[str]
) -> None:
    leap = Workflow.objects.get(dialect="leap")
    run = Run.objects.get()
    Run.objects.filter(pk=run.pk).update(workflow=leap, version=leap.version)
    pages = [
        admin_client.get(reverse("admin:runs_workflow_webhook_version", args=[leap.pk])),
        admin_client.get(
            f"{reverse('admin:delivery_replay_start')}?{quote(PLANTED)}=1&organization={quote(PLANTED)}"
        ),
        admin_client.post(
            reverse("admin:delivery_replay_start"), {"event_types": PLANTED, "states": PLANTED}
        ),
    ]
    for page in pages:
        assert page.status_code == 200
        assert holes(page) == []
    for url, action, rows in (
        ("/admin/delivery/delivery/", "cancel", Delivery.objects),
        ("/admin/subscriptions/subscription/", "disable", Subscription.objects),
    ):
        text = ask(admin_client, url, action, *rows.values_list("pk", flat=True))
        assert 'name="confirmed"' in text
        assert HTML not in text
        assert "<img src=x" not in text


@pytest.mark.parametrize("parameter", ["q", "organization", "subscription", "state", "type", "actor", "o"])
def test_what_is_typed_into_filters_and_search_comes_back_as_text(
    admin_client: Client, a_run: str, parameter: str
) -> None:
    for path in ("delivery/delivery", "delivery/event", "delivery/attempt", "subscriptions/auditentry"):
        response = admin_client.get(f"/admin/{path}/?{parameter}={quote(PLANTED)}", follow=True)
        # Not every list has each of these filters.
        assert response.status_code in (200, 400)
        assert holes(response) == [], (path, parameter)


def test_the_browsable_api_shows_it_as_text(admin_client: Client, hostile_world: set[str]) -> None:
    run, delivery = Run.objects.get().public_id, Delivery.objects.all()[0].pk
    hook = Subscription.objects.all()[0].pk
    paths = [
        *("webhooks", f"webhooks/{hook}", f"webhooks/{hook}/logs", "webhooks/logs/all", "workflows", "runs"),
        *(f"runs/{run}", f"runs/{run}/webhooks", "deliveries", f"deliveries/{delivery}", "replays"),
        *("organizations", "users/me/organizations", quote(PLANTED), f"runs/{quote(PLANTED)}"),
    ]
    pages = 0
    for path in paths:
        response = admin_client.get(f"/v1/{path}", HTTP_ACCEPT="text/html")
        if response.headers["Content-Type"].startswith("text/html"):
            pages += 1
            assert holes(response) == [], path
        else:
            assert response.headers["Content-Type"] == "application/json", path
    assert pages >= 12


def test_a_real_answer_of_a_receiver_is_planted_too(hostile_world: set[str]) -> None:
    assert PLANTED in Attempt.objects.all()[0].response_headers
    assert bytes(EventBody.objects.all()[0].body).decode() == PLANTED
    assert Organization.objects.filter(name__contains="<script>").exists()


def test_a_hole_would_be_found() -> None:
    class Page:
        content = f"<p title='{ATTRIBUTE}'>{re.escape(HTML)}</p>{HTML}".encode()

    assert len(holes(Page())) >= 3
