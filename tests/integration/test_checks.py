"""System checks: a nonsense combination of settings stops the start and says what to type."""

from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django.fixtures import Settings

from delivery.checks import check_database, check_settings


def found() -> dict[str, CheckMessage]:
    return {str(message.id): message for message in check_settings(None)}


def test_the_settings_as_they_are_pass() -> None:
    assert found() == {}
    assert [message for message in run_checks() if str(message.id).startswith("runhooks.")] == []


@pytest.mark.parametrize(
    ("id_", "values", "hint"),
    [
        ("runhooks.E001", {"ENCRYPTION_KEYS": ["nonsense"]}, "generate_key"),
        ("runhooks.E002", {"WEBHOOK_ALLOWED_NETWORKS": ["10.1.0.1/16"]}, "10.1.0.0/16"),
        ("runhooks.E002", {"WEBHOOK_ALLOWED_NETWORKS": ["office"]}, "10.1.0.0/16"),
        ("runhooks.E020", {"WEBHOOK_ALLOWED_HOSTS": ["10.0.0.1"]}, "WEBHOOK_ALLOWED_NETWORKS"),
        ("runhooks.E020", {"WEBHOOK_ALLOWED_HOSTS": ["*"]}, "*.corp.example"),
        ("runhooks.E020", {"WEBHOOK_ALLOWED_HOSTS": ["https://corp.example"]}, "*.corp.example"),
        ("runhooks.E021", {"WEBHOOK_ALLOWED_PORTS": ["https"]}, "8000-8999"),
        ("runhooks.E021", {"WEBHOOK_ALLOWED_PORTS": ["0"]}, "8000-8999"),
        ("runhooks.E021", {"WEBHOOK_ALLOWED_PORTS": ["9000-8000"]}, "8000-8999"),
        ("runhooks.E021", {"WEBHOOK_ALLOWED_PORTS": ["443-65536"]}, "8000-8999"),
        ("runhooks.E021", {"WEBHOOK_ALLOWED_PORTS": []}, "Unset it"),
        ("runhooks.E022", {"WEBHOOK_REFUSED_NETWORKS": ["192.0.2.1/24"]}, "10.1.0.0/16"),
        ("runhooks.E023", {"WEBHOOK_NAT64_PREFIXES": ["64:ff9b::/95"]}, "64:ff9b::/96"),
        ("runhooks.E023", {"WEBHOOK_NAT64_PREFIXES": ["10.0.0.0/8"]}, "64:ff9b::/96"),
        ("runhooks.E024", {"WEBHOOK_CA_FILE": "/nowhere/ca.pem"}, "PEM"),
        ("runhooks.E024", {"WEBHOOK_CA_FILE": __file__}, "PEM"),
        (
            "runhooks.W020",
            {"PRODUCTION": True, "WEBHOOK_ALLOWED_NETWORKS": ["0.0.0.0/0"]},
            "Name the networks",
        ),
        ("runhooks.E003", {"BROKER_VISIBILITY_TIMEOUT_SECONDS": 130}, "Raise it"),
        ("runhooks.E003", {"DELIVERY_RETRY_IN_CELERY_SECONDS": 600.0}, "Raise it"),
        ("runhooks.E004", {"DELIVERY_TIMEOUT_DEFAULT_SECONDS": 90.0}, "Lower the first"),
        ("runhooks.E006", {"PRODUCTION": True, "ALLOWED_HOSTS": []}, "Name the hosts"),
        ("runhooks.E007", {"PRODUCTION": True, "SECRET_KEY": "short"}, "token_urlsafe"),
        ("runhooks.W001", {"PRODUCTION": True, "WEBHOOK_ALLOW_HTTP": True}, "Unset it"),
        ("runhooks.E008", {"REPLAY_RATE_MAX_PER_SECOND": 50.0}, "Lower the first"),
        ("runhooks.E011", {"DELIVERY_SLOW_PERIOD_SECONDS": 100.0}, "Raise it"),
        ("runhooks.E011", {"DELIVERY_SLOW_AFTER_TIMEOUTS": 11}, "lower DELIVERY_SLOW_AFTER_TIMEOUTS"),
        ("runhooks.E012", {"DELIVERY_REQUESTS_PER_RECEIVER_MAX": 1}, "Lower the first"),
        ("runhooks.E013", {"ATTEMPTS_RETENTION_DAYS": 5}, "Raise them"),
        ("runhooks.E013", {"EVENTS_RETENTION_DAYS": 3}, "Raise them"),
        ("runhooks.E009", {"CELERY_BROKER_URL": "rediss://h/0?ssl_cert_reqs=CERT_REQUIRED"}, "redis-py"),
        ("runhooks.E009", {"CELERY_BROKER_URL": "redis://h/0?virtual_host=1"}, "redis-py"),
        ("runhooks.W002", {"REQUEUE_INTERVAL_SECONDS": 30.0}, "REQUEUE_INTERVAL_SECONDS"),
    ],
)
def test_a_nonsense_setting_is_found(settings: Settings, id_: str, values: dict[str, Any], hint: str) -> None:
    for name, value in values.items():
        setattr(settings, name, value)

    messages = found()

    assert id_ in messages
    assert hint in str(messages[id_].hint)


def test_the_message_names_the_wrong_key_by_its_place_and_never_shows_it(settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [settings.ENCRYPTION_KEYS[0], "hush-hush"]

    message = found()["runhooks.E001"]

    assert "number 2" in message.msg
    assert "hush-hush" not in f"{message.msg}{message.hint}"


def test_the_database_of_the_tests_is_new_enough() -> None:
    assert check_database(None, databases=["default"]) == []


def test_an_older_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.checks.POSTGRESQL_MINIMUM", 990_000)

    (message,) = check_database(None, databases=["default"])

    assert message.id == "runhooks.E005"


def test_without_a_database_at_hand_nothing_is_asked_of_it() -> None:
    assert check_database(None, databases=None) == []
