"""The probes: what is demanded, what is left out, and that they answer in time whatever hangs."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.db.models.functions import Now
from django.test import Client

from delivery.broker import queue_names
from delivery.canary import mark_seen
from delivery.doctor import readiness
from delivery.doctor.bounded import Question
from delivery.models import Canary
from delivery.presence import Presence
from tests.brokers import Broker, pointed_at
from tests.integration.test_sender import closed_port

Json = dict[str, Any]
PROBE_SECONDS = 3.0


@pytest.fixture
def healthy(server: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """Everything is there, and each probe looks anew."""
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 0.0)
    Presence("worker-1@host", queue_names, 16).say_if_due()
    mark_seen()
    with pointed_at(server.url):
        yield server


@contextmanager
def database_at(port: int) -> Iterator[None]:
    """New connections go to another port, until the end of the block."""
    values = connections["default"].settings_dict
    before = values["PORT"]
    values["PORT"] = port
    try:
        yield
    finally:
        values["PORT"] = before


def readyz(**query: Any) -> tuple[int, Json]:
    started = time.monotonic()
    response = Client().get("/readyz", query)
    assert time.monotonic() - started < PROBE_SECONDS
    return response.status_code, response.json()


def test_the_process_answers_whatever_is_away() -> None:
    with database_at(closed_port()):
        response = Client().get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_service_that_can_do_its_job_is_ready(healthy: Broker) -> None:
    status, answer = readyz()

    age = answer.pop("worker_seen_seconds_ago")
    assert status == 200
    assert answer == {"status": "ok", "problems": [], "database": "ok", "broker": "ok", "workers": 1}
    assert 0 <= age < 60


@pytest.mark.parametrize("seen", ["never", "long ago"])
def test_without_a_young_canary_it_is_not_ready(healthy: Broker, seen: str) -> None:
    if seen == "never":
        Canary.objects.all().delete()
    else:
        Canary.objects.update(seen_at=Now() - timedelta(minutes=5))

    status, answer = readyz()

    assert (status, answer["status"], answer["problems"]) == (503, "unavailable", ["beat.canary"])
    assert answer["workers"] == 1


def test_without_the_broker_it_is_not_ready(healthy: Broker) -> None:
    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"):
        status, answer = readyz()

    assert (status, answer["problems"]) == (503, ["broker.answers"])
    assert answer["database"] == "ok"


def test_a_paused_broker_does_not_hold_the_probe_up(healthy: Broker) -> None:
    healthy.service.send(signal.SIGSTOP)
    try:
        status, answer = readyz()
    finally:
        healthy.service.send(signal.SIGCONT)

    assert (status, answer["problems"]) == (503, ["broker.answers"])


def test_without_the_database_it_is_not_ready_and_tells_strangers_no_addresses(
    healthy: Broker,
) -> None:
    with database_at(closed_port()):
        status, answer = readyz()

    assert (status, answer["problems"], answer["database"]) == (503, ["database.answers"], "OperationalError")
    assert "127.0.0.1" not in str(answer)


def test_a_database_and_a_broker_that_never_answer_do_not_hold_the_probe_up(healthy: Broker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with database_at(port), pointed_at(f"redis://127.0.0.1:{port}/0"):
            status, answer = readyz()

    assert status == 503
    assert answer["problems"] == ["database.answers", "broker.answers"]


@pytest.mark.parametrize("exclude", ["broker,workers", ["broker", "workers"]])
def test_a_load_balancer_of_the_api_leaves_broker_and_workers_out(healthy: Broker, exclude: Any) -> None:
    Canary.objects.all().delete()

    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"):
        status, answer = readyz(exclude=exclude)

    assert (status, answer["status"], answer["problems"]) == (200, "ok", [])
    assert answer["broker"] == "OperationalError"


def test_a_part_that_does_not_exist_cannot_be_left_out(healthy: Broker) -> None:
    status, answer = readyz(exclude="brokr")

    assert (status, answer["code"], answer["field"]) == (400, "invalid", "exclude")


def test_however_many_ask_the_servers_are_asked_once_in_a_while(
    healthy: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def database() -> tuple[float | None, int]:
        asked.append("database")
        return 1.0, 1

    monkeypatch.setattr(readiness, "_database", Question(database))
    monkeypatch.setattr(readiness, "_broker", Question(lambda: asked.append("broker")))
    monkeypatch.setattr(readiness, "KEPT_SECONDS", 60.0)

    assert {readyz()[0] for _ in range(10)} == {200}
    assert sorted(asked) == ["broker", "database"]
