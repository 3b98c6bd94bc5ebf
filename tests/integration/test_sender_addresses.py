"""The sender where sockets open: which of the addresses, and what a look-up that fails is called.

What it refuses is in tests/guard.
"""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from delivery.sender import Answer, NoAnswer
from delivery.states import ErrorClass
from subscriptions.rules import target_rule
from tests.integration.test_sender import NO_BODY, post, say, serving
from tests.on_loop import BOTH, AnyTransport
from tests.sockets import Resolver

DEADLINE_SECONDS = 0.4
SOON_SECONDS = 10 * DEADLINE_SECONDS


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.mark.parametrize("dead", [("127.0.0.2",), ("127.0.0.2", "127.0.0.3", "::1")])
def test_where_the_first_address_is_dead_the_next_one_is_tried(
    transport: AnyTransport, resolver: Resolver, dead: tuple[str, ...]
) -> None:
    resolver.says(*dead, "127.0.0.1")

    with serving(say(NO_BODY)) as server:
        result = post(transport, f"http://hooks.example:{server.port}/")

    assert isinstance(result, Answer), result


def test_ipv6_is_spoken(transport: AnyTransport) -> None:
    with serving(say(NO_BODY), host="::1") as server:
        assert isinstance(post(transport, f"http://[::1]:{server.port}/"), Answer)


def test_a_name_that_does_not_exist_is_a_dns_error(
    transport: AnyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    result = post(transport, "http://hooks.example/")

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.DNS


def test_a_look_up_that_hangs_is_left_at_the_total_deadline(
    transport: AnyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    started = time.monotonic()

    result = post(transport, "http://hooks.example/", timeout=DEADLINE_SECONDS)

    over.set()
    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS
