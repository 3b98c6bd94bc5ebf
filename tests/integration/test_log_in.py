"""Log-in to the admin is throttled, and says so."""

import re
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings
from redis import Redis

from subscriptions.admin.login import client_address
from tests.brokers import Broker
from tests.integration.test_sender import closed_port

PASSWORD, WRONG = "correct horse battery", "wrong"


@pytest.fixture(autouse=True)
def bounds(settings: Settings, server: Broker) -> None:
    """So slow that no test sees a place come free."""
    settings.CELERY_BROKER_URL = server.url
    settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS = 1.0
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"test-{time.monotonic_ns()}:"}
    settings.LOGIN_USER_TRIES_PER_MINUTE = settings.LOGIN_ADDRESS_TRIES_PER_MINUTE = 0.1
    settings.LOGIN_USER_BURST_TRIES, settings.LOGIN_ADDRESS_BURST_TRIES = 3, 5
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    User.objects.create_superuser("admin", password=PASSWORD)


def log_in(user: str = "admin", password: str = WRONG, **meta: Any) -> str:
    """What the page says; nothing once logged in."""
    page = Client().post("/admin/login/", {"username": user, "password": password}, **meta)
    if page.status_code == 302:
        return ""
    return "too many" if "Too many log-in attempts. Try again in" in page.content.decode() else "wrong"


def test_guessing_a_password_ends_soon_and_the_right_one_does_not_help_then() -> None:
    assert [log_in() for _ in range(4)] == ["wrong"] * 3 + ["too many"]

    assert log_in(password=PASSWORD) == "too many"


def test_the_page_says_when_to_try_again() -> None:
    for _ in range(3):
        log_in()

    page = Client().post("/admin/login/", {"username": "admin", "password": "wrong"})

    assert re.search(
        r"Too many log-in attempts\. Try again in (5[5-9]\d|600) seconds\.", page.content.decode()
    )


def test_the_right_password_logs_in() -> None:
    assert log_in(password=PASSWORD) == ""


def test_many_names_from_one_address_are_bounded_as_well() -> None:
    assert [log_in(f"user-{number}") for number in range(7)] == ["wrong"] * 5 + ["too many"] * 2

    assert log_in(password=PASSWORD, REMOTE_ADDR="192.0.2.7") == ""


def test_one_name_from_many_addresses_is_bounded_as_well() -> None:
    found = [log_in(REMOTE_ADDR=f"192.0.2.{number}") for number in range(5)]

    assert found == ["wrong"] * 3 + ["too many"] * 2


def test_a_forged_header_does_not_make_another_client() -> None:
    found = [log_in(f"user-{number}", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}") for number in range(6)]

    assert found == ["wrong"] * 5 + ["too many"]


def test_no_password_is_looked_at_once_the_bound_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        log_in()
    monkeypatch.setattr("django.contrib.auth.forms.authenticate", lambda *_, **__: 1 / 0)

    assert log_in() == "too many"


def test_while_the_store_is_away_the_process_counts_on_its_own(settings: Settings) -> None:
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{closed_port()}/0"

    assert [log_in() for _ in range(4)] == ["wrong"] * 3 + ["too many"]


def test_nothing_that_was_typed_is_kept_in_the_store(server: Broker, settings: Settings) -> None:
    log_in("zoe@example.com", "hush-hush")

    kept = str(Redis.from_url(server.url).keys("*"))
    assert "test-" in kept
    assert "zoe" not in kept
    assert "hush" not in kept


@pytest.mark.parametrize(
    ("proxies", "forwarded", "connected", "expected"),
    [
        (0, "", "192.0.2.1", "192.0.2.1"),
        (0, "198.51.100.9", "192.0.2.1", "192.0.2.1"),
        (1, "198.51.100.9", "192.0.2.1", "198.51.100.9"),
        (1, "203.0.113.5, 198.51.100.9", "192.0.2.1", "198.51.100.9"),
        (2, "203.0.113.5, 198.51.100.9", "192.0.2.1", "203.0.113.5"),
        (3, "203.0.113.5, 198.51.100.9", "192.0.2.1", "203.0.113.5"),
        (1, "", "192.0.2.1", "192.0.2.1"),
        (1, " , 198.51.100.9 ,", "192.0.2.1", "198.51.100.9"),
        (0, "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        (0, "", "", ""),
        (1, "nonsense", "192.0.2.1", "nonsense"),
    ],
)
def test_the_client_is_whom_our_own_proxies_saw(
    settings: Settings, proxies: int, forwarded: str, connected: str, expected: str
) -> None:
    settings.X_FORWARDED_FOR_PROXIES = proxies
    headers: Any = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}

    request = RequestFactory().post("/admin/login/", REMOTE_ADDR=connected, **headers)

    assert client_address(request) == expected
