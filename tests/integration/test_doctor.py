"""`manage.py doctor` on real servers: what it finds, how long it takes, how it ends."""

import io
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from delivery import slow_rows
from delivery.broker import queue_names
from delivery.canary import mark_seen
from delivery.doctor import rows
from delivery.hold import WORKER_LOST
from delivery.models import Canary, Delivery, Worker
from delivery.presence import Presence
from delivery.states import Lane, State
from subscriptions.models import Notice, Organization, Subscription
from tests.brokers import Broker, pointed_at
from tests.integration.test_health import database_at
from tests.integration.test_outbox import happen
from tests.integration.test_queries import fill, plan
from tests.integration.test_sender import closed_port
from webhooks_project.celery import app

Json = dict[str, Any]


@pytest.fixture
def healthy(broker: Broker) -> Broker:
    """A broker, a worker for all queues, and a young canary."""
    Presence("worker-1@host", queue_names, 16).say_if_due()
    mark_seen()
    return broker


def doctor(*options: str) -> tuple[int, str]:
    """Exit status and output of the command."""
    out = io.StringIO()
    try:
        call_command("doctor", *options, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def findings() -> dict[str, Json]:
    """All findings by id."""
    return {finding["id"]: finding for finding in json.loads(doctor("--json")[1])["findings"]}


def problems() -> dict[str, str]:
    """Level by id of what is not ok."""
    return {id_: finding["level"] for id_, finding in findings().items() if finding["level"] != "ok"}


@contextmanager
def configured(name: str, value: str) -> Iterator[None]:
    """The broker's configuration is another for the time of the block."""

    with app.connection_for_write() as link:
        client = link.default_channel.client  # type: ignore[attr-defined]  # Redis's only
        before = client.config_get(name)[name]
        client.config_set(name, value)
        try:
            yield
        finally:
            client.config_set(name, before)


def test_all_is_well(healthy: Broker) -> None:
    status, output = doctor("--strict")

    assert (status, problems()) == (0, {}), output
    assert "0 error, 0 warning" in output


def test_each_finding_is_a_line_and_problems_come_first(healthy: Broker) -> None:
    Worker.objects.all().delete()

    status, output = doctor()

    lines = output.splitlines()
    count = len(queue_names())
    assert status == 1
    assert all(line.startswith("error    workers.") for line in lines[:count])
    assert all(line.startswith("ok ") for line in lines[count:-1])
    assert lines[-1] == f"{count} error, 0 warning, {len(lines) - 1 - count} ok"
    # No terminal, no colours.
    assert "\x1b" not in output


def test_the_json_has_the_level_the_facts_and_what_to_do(healthy: Broker) -> None:
    Canary.objects.update(seen_at=Now() - timedelta(hours=1))

    status, output = doctor("--json")

    report = json.loads(output)
    (bad,) = [finding for finding in report["findings"] if finding["level"] != "ok"]
    assert (status, report["status"]) == (1, "error")
    assert bad.keys() == {"id", "level", "what", "todo"}
    assert bad["id"] == "beat.canary"
    assert bad["todo"]


def test_a_warning_is_no_error_unless_one_is_strict(healthy: Broker) -> None:
    with configured("maxmemory-policy", "allkeys-lru"):
        plain, strict = doctor()[0], doctor("--strict")[0]

    assert (plain, strict) == (0, 1)


def test_a_broker_without_an_append_only_file_is_found_with_what_to_set(healthy: Broker) -> None:
    with configured("appendonly", "no"):
        found = findings()["broker.appendonly"]

    assert found["level"] == "warning"
    assert "appendonly yes" in found["todo"]


def test_a_managed_broker_that_refuses_config_and_info_is_a_warning(healthy: Broker) -> None:
    with pointed_at(healthy.url_of_user("-config", "-info")):
        found = problems()

    assert found == dict.fromkeys(
        ("broker.appendonly", "broker.eviction", "broker.writes", "broker.memory"), "warning"
    )


def test_a_broker_that_refuses_the_command_of_workers_is_an_error(healthy: Broker) -> None:
    with pointed_at(healthy.url_of_user("-blmpop")):
        status, output = doctor()
        found = findings()["broker.commands"]

    assert status == 1
    assert "'blmpop'" in output
    assert found["level"] == "error"


def test_a_broker_that_is_away_is_an_error_and_the_rest_is_looked_at(healthy: Broker) -> None:
    with pointed_at(f"redis://:pass-word@127.0.0.1:{closed_port()}/0"):
        status, output = doctor()
        found = problems()

    assert status == 1
    assert found == {"broker.answers": "error"}
    assert "pass-word" not in output


def test_a_broker_that_is_paused_is_an_error_in_bounded_time(healthy: Broker) -> None:
    healthy.service.send(signal.SIGSTOP)
    started = time.monotonic()
    try:
        found = problems()
    finally:
        healthy.service.send(signal.SIGCONT)

    assert found == {"broker.answers": "error"}
    assert time.monotonic() - started < 8


def test_a_database_that_is_away_is_an_error(healthy: Broker) -> None:
    with database_at(closed_port()):
        status, output = doctor("--json")

    found = [f["id"] for f in json.loads(output)["findings"] if f["level"] != "ok"]
    assert (status, found) == (1, ["database.answers"])


def test_a_database_that_never_answers_is_an_error_in_bounded_time(
    healthy: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.doctor.DATABASE_MAX_SECONDS", 0.5)
    started = time.monotonic()

    with socket.create_server(("127.0.0.1", 0)) as silent, database_at(silent.getsockname()[1]):
        found = problems()

    assert found == {"database.answers": "error"}
    assert time.monotonic() - started < 5


def test_migrations_that_are_not_applied_are_named(healthy: Broker) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(name) FROM django_migrations WHERE app = 'delivery'")
        newest = cursor.fetchone()[0]
        cursor.execute(
            "UPDATE django_migrations SET app = 'was' WHERE app = 'delivery' AND name = %s", [newest]
        )
    try:
        found = findings()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_migrations SET app = 'delivery' WHERE app = 'was'")

    assert found["database.migrations"]["level"] == "error"
    assert f"delivery.{newest}" in found["database.migrations"]["what"]
    assert "migrate" in found["database.migrations"]["todo"]


def test_migrations_of_a_newer_version_are_a_warning(healthy: Broker) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('delivery', '9999_newer', now())"
        )
    try:
        found = problems()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = '9999_newer'")

    assert found == {"database.migrations": "warning"}


def test_a_host_whose_clock_is_wrong_is_a_warning(healthy: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 120)

    found = findings()

    assert found["database.clock"]["level"] == "warning"
    assert "120.0 s ahead of" in found["database.clock"]["what"]
    assert found["broker.clock"]["level"] == "warning"
    assert "120.0 s behind" in found["broker.clock"]["what"]


def test_settings_that_contradict_each_other_are_found(healthy: Broker, settings: Settings) -> None:
    settings.BROKER_VISIBILITY_TIMEOUT_SECONDS = 60

    assert problems() == {"check.runhooks.E003": "error"}


@pytest.fixture
def waiting(organization: Organization, subscribe: Callable[..., Subscription]) -> Delivery:
    """A delivery that is due."""
    subscribe()
    return happen(organization).deliveries.get()


def age(**values: Any) -> None:
    Delivery.objects.update(**values)


@pytest.mark.parametrize(("minutes", "level"), [(2, "warning"), (60, "error")])
def test_a_due_row_that_nobody_takes_is_late(
    healthy: Broker, waiting: Delivery, minutes: int, level: str
) -> None:
    age(next_attempt_at=Now() - timedelta(minutes=minutes))

    assert problems() == {"due.first": level}


def test_what_is_not_due_held_by_a_lease_or_done_is_not_late(healthy: Broker, waiting: Delivery) -> None:
    long_ago = Now() - timedelta(hours=1)
    for values in (
        {"next_attempt_at": Now() + timedelta(hours=1)},
        {"next_attempt_at": long_ago, "lease_until": Now() + timedelta(minutes=1)},
        {"next_attempt_at": long_ago, "lease_until": None, "state": State.DELIVERED, "finished_at": Now()},
    ):
        age(**values)

        assert problems() == {}


STUCK: dict[str, Json] = {
    "woken up again and again": {"nudges": 10},
    "left by a worker and taken up by none": {"lease_until": Now() - timedelta(hours=1)},
}


@pytest.mark.parametrize("values", STUCK.values(), ids=STUCK)
def test_a_stuck_row_is_an_error(healthy: Broker, waiting: Delivery, values: Json) -> None:
    age(next_attempt_at=Now() - timedelta(minutes=2), **values)

    assert problems() == {"due.first": "warning", "deliveries.stuck": "error"}


@pytest.mark.parametrize(
    ("reason", "id_"), [("subscription_disabled", "deliveries.held"), (WORKER_LOST, "deliveries.parked")]
)
def test_what_waits_for_a_person_is_a_warning(
    healthy: Broker, waiting: Delivery, reason: str, id_: str
) -> None:
    age(state=State.HELD, reason=reason, next_attempt_at=None)

    assert problems() == {id_: "warning"}
    assert findings()[id_]["what"].startswith("1 delivery ")


def test_a_subscription_that_the_service_disabled_is_a_warning(healthy: Broker, waiting: Delivery) -> None:
    Subscription.objects.update(disabled_at=Now(), disabled_reason="gone")

    assert problems() == {"subscriptions.disabled": "warning"}


def test_a_receiver_that_is_slow_is_a_warning_that_names_it(healthy: Broker, waiting: Delivery) -> None:
    slow_rows.exchange({(waiting.organization_id, "https://hangs.example:443"): 3}, set())
    Delivery.objects.update(lane=Lane.SLOW)

    found = findings()["receivers.slow"]

    assert found["level"] == "warning"
    assert "1 receiver keeps timing out: https://hangs.example:443; 1 delivery waits" in found["what"]


def test_a_notice_that_cannot_be_sent_is_a_warning(
    healthy: Broker, organization: Organization, settings: Settings
) -> None:
    Notice.objects.create(organization=organization, address="ops@acme.example", subject="S", text="T")
    settings.EMAIL_HOST = ""
    without_server = findings()["notices.unsent"]
    settings.EMAIL_HOST = "mail.example"
    young = problems()
    Notice.objects.update(tries=3, error="user unknown")

    assert "EMAIL_HOST" in without_server["todo"]
    assert young == {}
    assert "user unknown" in findings()["notices.unsent"]["what"]


def test_secrets_of_a_lost_key_are_an_error(healthy: Broker, waiting: Delivery, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    assert problems() == {"secrets.decryptable": "error"}


def test_what_is_counted_in_large_tables_is_found_by_their_indexes(organization: Organization) -> None:
    fill(organization)

    with CaptureQueriesContext(connection) as captured:
        for check in (rows.late, rows.stuck, rows.held):
            assert list(check())

    plans = [plan(query["sql"].replace("%", "%%"), {}) for query in captured.captured_queries]
    indexes = ("delivery_due", "delivery_due", "delivery_held")
    assert all(f" {index} " in text for index, text in zip(indexes, plans, strict=True)), plans
    assert not [text for text in plans if "Seq Scan on delivery_delivery" in text]
