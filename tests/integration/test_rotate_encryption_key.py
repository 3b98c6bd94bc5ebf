"""`manage.py rotate_encryption_key`: every encrypted column, again and again, beside whoever writes."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery.models import Delivery
from runs.models import Run
from subscriptions import encrypted, rotation, secrets, services
from subscriptions.models import ApiKey, Organization, SigningSecret, Subscription
from tests.factories import answer, completed_run, run, webhook, workflow
from tests.receiver import Receiver

Attempting = Callable[..., Any]


@pytest.fixture
def old(settings: Settings) -> str:
    key = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [key]
    return key


@pytest.fixture
def new() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def filled(old: str, api: APIClient, organization: Organization, receiver: Receiver) -> APIClient:
    """A row with a token in every column of the register."""
    url = receiver.url("/hook?token=abcdefgh")
    webhook(api, url=url, secret="a text", headers={"X-A": "header"})
    services.api_key_create(organization=organization, signs=True)
    made = workflow(api, webhook_url=url, headers={"X-A": "header"})
    completed_run(api, workflow_id=made["id"], webhook_url=url)
    once = {"Idempotency-Key": "once"}
    api.post("/v1/events", {"event_type": "order.paid", "data": {}}, headers=once)
    open_run = run(api, workflow_id=made["id"])
    Run.objects.filter(public_id=open_run["id"]).update(encrypted_webhook_secret=secrets.encrypt("callback"))
    return api


def rotate(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_encryption_key", *arguments, stdout=out)
    return out.getvalue()


def test_every_encrypted_column_is_in_the_register() -> None:
    registered = {(column.model, column.column) for column in encrypted.columns()}
    found = {
        (model, column.name)
        for model in apps.get_models()
        for column in model._meta.get_fields()
        if column.name.startswith(encrypted.ENCRYPTED_PREFIX)
    }

    assert found - registered == set()
    assert registered - found == {(Delivery, "callback")}


def test_afterwards_the_first_key_alone_opens_everything_and_all_goes_on(
    filled: APIClient, old: str, new: str, settings: Settings, receiver: Receiver, attempt: Attempting
) -> None:
    assert all(
        column.model._default_manager.filter(column.filled).exists() for column in encrypted.columns()
    ), "the test has something in every column"
    settings.ENCRYPTION_KEYS = [new, old]
    versions = list(Subscription.objects.values_list("version", flat=True))

    said = rotate()
    settings.ENCRYPTION_KEYS = [new]

    assert said.endswith("0 under the first key already, 0 under another key, 0 that no key opens\n")
    assert not said.startswith("0 re-encrypted")
    rotate("--check")
    assert versions == list(Subscription.objects.values_list("version", flat=True))
    for delivery in Delivery.objects.all():
        attempt(delivery)
    assert {request.path for request in receiver.requests} == {"/hook?token=abcdefgh"}
    assert {request.headers["X-A"] for request in receiver.requests} == {"header"}
    assert all("webhook-signature" in request.headers for request in receiver.at("/hook?token=abcdefgh")[:1])


def test_check_only_counts_and_says_whether_the_old_key_may_go(
    filled: APIClient, old: str, new: str, settings: Settings
) -> None:
    before = list(SigningSecret.objects.order_by("pk").values_list("encrypted_secret", flat=True))
    settings.ENCRYPTION_KEYS = [new, old]

    with pytest.raises(CommandError, match="do not take the other keys away yet"):
        rotate("--check")

    assert before == list(SigningSecret.objects.order_by("pk").values_list("encrypted_secret", flat=True))
    rotate()
    assert rotate("--check").startswith("0 re-encrypted")
    assert rotate().startswith("0 re-encrypted")


def test_what_was_broken_off_is_gone_on_with(
    filled: APIClient, old: str, new: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ENCRYPTION_KEYS = [new, old]
    monkeypatch.setattr(rotation, "WINDOW_ROWS", 1)
    real, calls = secrets.under_first_key, 0

    def breaks(token: str) -> str:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return real(token)

    monkeypatch.setattr(secrets, "under_first_key", breaks)
    with pytest.raises(KeyboardInterrupt):
        rotate()

    monkeypatch.setattr(secrets, "under_first_key", real)
    said = rotate()

    assert ", 2 under the first key already, 0 under another" in said
    settings.ENCRYPTION_KEYS = [new]
    rotate("--check")


def test_what_somebody_writes_meanwhile_wins_and_is_done_too(
    filled: APIClient, old: str, new: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = encrypted.EncryptedColumn(Subscription, "encrypted_headers")
    settings.ENCRYPTION_KEYS = [new, old]
    real, done = secrets.under_first_key, False

    def races(token: str) -> str:
        nonlocal done
        if not done:
            done = True
            settings.ENCRYPTION_KEYS = [old]  # a process that was not restarted yet
            Subscription.objects.update(encrypted_headers=secrets.encrypt_headers({"X-A": "newer"}))
            settings.ENCRYPTION_KEYS = [new, old]
        return real(token)

    monkeypatch.setattr(secrets, "under_first_key", races)

    tally = rotation.rotate(column, check=False, progress=lambda tally: None)

    settings.ENCRYPTION_KEYS = [new]
    assert (tally.seen, tally.changed) == (1, 1)
    assert secrets.decrypt_headers(Subscription.objects.get().encrypted_headers) == {"X-A": "newer"}


def test_a_secret_that_no_key_opens_is_named_by_its_row_and_the_others_are_done(
    filled: APIClient, old: str, new: str, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = [new, old]
    lost = ApiKey.objects.filter(signs=True).latest("pk")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    token = secrets.encrypt("lost")
    ApiKey.objects.filter(pk=lost.pk).update(encrypted_key=token)
    settings.ENCRYPTION_KEYS = [new, old]

    with pytest.raises(
        CommandError, match=rf"opens subscriptions_apikey\.encrypted_key {lost.pk}:"
    ) as refused:
        rotate()

    assert token not in str(refused.value)
    settings.ENCRYPTION_KEYS = [new]
    with pytest.raises(CommandError, match="no key of ENCRYPTION_KEYS opens"):
        rotate("--check")
    assert answer(filled.get("/v1/webhooks"))["webhooks"][0]["url"].endswith("token=abcdefgh")


def test_no_transaction_holds_more_than_one_row(
    filled: APIClient, old: str, new: str, settings: Settings
) -> None:
    settings.ENCRYPTION_KEYS = [new, old]

    with CaptureQueriesContext(connection) as captured:
        rotate()

    assert not [
        query for query in captured.captured_queries if query["sql"].startswith(("BEGIN", "SAVEPOINT"))
    ]


def test_progress_is_for_a_terminal(filled: APIClient) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    call_command("rotate_encryption_key", "--check", stdout=out)

    assert "\rdelivery_delivery.callback: " in out.getvalue()
    assert "\r" not in rotate("--check")
    assert len(rotate("--check").splitlines()) == 1
