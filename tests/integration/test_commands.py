"""The management commands as an operator runs them."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from delivery import queue, requeue
from delivery.custom_events import custom_event
from delivery.models import Delivery
from delivery.states import Lane
from local.manage import environment, manage
from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, Scope, Subscription
from tests.integration.test_sender import closed_port

Subscribe = Callable[..., Subscription]


def run(*arguments: str) -> tuple[str, str]:
    """What the command wrote to standard output and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_create_api_key_prints_nothing_but_a_key_that_works() -> None:
    out, err = run("create_api_key", "--organization", "New", "--email", "ops@new.example", "--name", "ci")
    organization = Organization.objects.get(name="New")
    assert organization.contact_email == "ops@new.example"
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {out.removesuffix(chr(10))}")
    assert client.get("/v1/webhooks").status_code == 200
    assert "whsec_" in err
    assert out.strip() not in err
    assert ApiKey.objects.get().scopes == DEFAULT_SCOPES


def test_create_api_key_uses_an_organization_that_exists(organization: Organization) -> None:
    _, err = run("create_api_key", "--organization", organization.name, "--scopes", "all", "--signs")
    key = ApiKey.objects.get()
    assert (key.organization, key.scopes, key.signs) == (organization, list(Scope.values), True)
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scopes", "runs:read,nonsense"], "unknown nonsense; there are runs:write, "),
        (["--scopes", ","], "none named"),
        (["--email", "nonsense"], "--email"),
        (["--name", "x" * 256], "--name"),
    ],
)
def test_create_api_key_refuses_nonsense_and_leaves_nothing(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_api_key", "--organization", "New", *arguments)
    assert not Organization.objects.exists()


def test_a_key_that_callers_have_already_is_taken_and_goes_on_working(tmp_path: Path) -> None:
    brought = "sk-" + "0123456789abcdef" * 3
    (tmp_path / "key").write_text(f"{brought}\n")

    out, err = run("create_api_key", "--organization", "New", "--signs", "--key-file", str(tmp_path / "key"))

    client = APIClient()
    client.credentials(HTTP_X_API_KEY=brought)
    assert client.get("/v1/webhooks").status_code == 200
    made = ApiKey.objects.get()
    assert (made.signs, made.prefix[:4]) == (True, "own_")
    # Neither printed nor to be read off what lists show of it.
    assert out == ""
    assert brought not in err
    assert made.prefix[4:] not in brought


@pytest.mark.parametrize(
    ("brought", "message"),
    [
        ("short", "24 to 1024"),
        ("", "24 to 1024"),
        ("x" * 1025, "24 to 1024"),
        ("with blanks " * 3, "visible"),
        ("ключ" * 8, "visible"),
    ],
)
def test_a_key_that_could_be_guessed_or_not_be_sent_is_refused(
    brought: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(brought)

    with pytest.raises(CommandError, match=message):
        run("create_api_key", "--organization", "New", "--key-file", str(tmp_path / "key"))
    assert not Organization.objects.exists()


def test_a_key_of_somebody_else_is_not_taken_a_second_time(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-" + "0123456789abcdef" * 3)
    run("create_api_key", "--organization", "New", "--key-file", str(tmp_path / "key"))

    with pytest.raises(CommandError, match="here already"):
        run("create_api_key", "--organization", "Other", "--key-file", str(tmp_path / "key"))
    assert ApiKey.objects.get().organization.name == "New"


@contextmanager
def broker(monkeypatch: pytest.MonkeyPatch, depths: dict[Any, int] | None) -> Iterator[list[queue.WakeUp]]:
    sent: list[queue.WakeUp] = []
    monkeypatch.setattr(queue, "lane_depths", lambda: depths)
    monkeypatch.setattr(requeue, "lane_depths", lambda: depths)

    def send(batch: list[queue.WakeUp]) -> bool:
        sent.extend(batch)
        return True

    monkeypatch.setattr(queue, "send", send)
    yield sent


def test_requeue_wakes_everything_that_is_due(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REQUEUE_BATCH_ROWS = 2
    subscribe()
    due = [
        custom_event(organization=organization, event_type="order.paid", data={}, event_id=None)
        for _ in range(5)
    ]
    Delivery.objects.update(nudged_at=None)
    with broker(monkeypatch, dict.fromkeys(Lane, 0)) as sent:
        out, _ = run("requeue")
        assert out == "published 5 wake-ups\n"
        assert {wake_up.delivery_id for wake_up in sent} == {event.deliveries.get().id for event in due}
        assert run("requeue")[0] == "published 0 wake-ups\n"


def test_requeue_goes_on_until_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([3, 2, 0])
    monkeypatch.setattr(requeue, "requeue_once", lambda: next(looks))
    with broker(monkeypatch, dict.fromkeys(Lane, 0)):
        assert run("requeue")[0] == "published 5 wake-ups\n"


def test_requeue_fails_clearly_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(monkeypatch, None), pytest.raises(CommandError, match="the broker cannot be asked"):
        run("requeue")


def test_a_command_says_in_a_line_that_the_database_is_away(tmp_path: Path) -> None:
    """A trace only for who asks for it."""
    env = environment("local", f"postgres://a:b@127.0.0.1:{closed_port()}/c", tmp_path)

    status, told = manage(env, "stats")
    with_trace = manage(env, "stats", "--traceback")[1]

    assert status == 1
    assert told.startswith("the database: connection")
    assert "Traceback" not in told
    assert "Traceback" in with_trace


def test_a_command_without_settings_says_where_it_looked_for_them(tmp_path: Path) -> None:
    env = environment("local", "postgres://a:b@127.0.0.1:1/c", tmp_path)
    del env["SECRET_KEY"]

    status, told = manage(env, "stats")

    assert status == 1
    assert told.startswith(
        "SECRET_KEY is not set\nNo `make serve` runs on this DATA_DIR, or DATABASE_URL is set"
    )
