"""Where the time of a request went, as both senders measure it."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.phases import Phases
from delivery.sender import Answer, NoAnswer
from subscriptions.addresses import TargetRule
from subscriptions.rules import target_rule
from tests.certificates import Authority
from tests.integration.test_sender import OK, closed_port, post, serving, silent, take_request
from tests.integration.test_sender_tls import HI, authority, resolver, trusting, with_tls
from tests.on_loop import BOTH, AnyTransport
from tests.receiver import Receiver
from tests.sockets import Resolver

__all__ = ["authority", "resolver", "trusting"]
PAUSE_SECONDS = 0.2


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


def measured(result: Answer | NoAnswer) -> Phases:
    assert result.phases is not None, result
    total = sum(spent for _, spent in result.phases.measured())
    assert result.duration_ms is not None
    assert 0 <= total <= result.duration_ms * 1000
    return result.phases


def names(result: Answer | NoAnswer) -> list[str]:
    return [name for name, _ in measured(result).measured()]


def test_a_kept_connection_is_neither_looked_up_nor_made(transport: AnyTransport, receiver: Receiver) -> None:
    first, second = (post(transport, receiver.url()) for _ in range(2))

    assert names(first) == ["connect", "wait", "read"]
    assert names(second) == ["wait", "read"]


def test_a_name_is_looked_up_and_tls_made_once(
    trusting: AnyTransport, authority: Authority, resolver: Resolver
) -> None:
    with serving(with_tls(HI, authority.certificate("hooks.example"))) as server:
        result = post(trusting, f"https://hooks.example:{server.port}/")

    assert isinstance(result, Answer), result
    assert names(result) == ["dns", "connect", "tls", "wait", "read"]


def test_a_receiver_that_thinks_and_one_that_drips_are_told_apart(transport: AnyTransport) -> None:
    def think(sock: socket.socket, over: threading.Event) -> None:
        take_request(sock)
        time.sleep(PAUSE_SECONDS)
        sock.sendall(OK + b"Content-Length: 2\r\n\r\nhi")

    def drip(sock: socket.socket, over: threading.Event) -> None:
        take_request(sock)
        sock.sendall(OK + b"Content-Length: 2\r\n\r\nh")
        time.sleep(PAUSE_SECONDS)
        sock.sendall(b"i")

    slow = []
    for talk in (think, drip):
        with serving(talk) as server:
            phases = measured(post(transport, server.url))
        assert phases.wait is not None
        assert phases.read is not None
        slow.append([part >= PAUSE_SECONDS * 0.9e6 for part in (phases.wait, phases.read)])

    assert slow == [[True, False], [False, True]]


def test_a_failure_shows_how_far_it_came(transport: AnyTransport) -> None:
    with serving(silent) as server:
        unanswered = post(transport, server.url, timeout=PAUSE_SECONDS)
    refused = post(transport, f"http://127.0.0.1:{closed_port()}/")

    assert names(unanswered) == ["connect", "wait"]
    assert (measured(unanswered).wait or 0) >= PAUSE_SECONDS * 0.8e6
    assert names(refused) == ["connect"]


def test_a_failed_handshake_ends_in_it(transport: AnyTransport, tmp_path: Path) -> None:
    unknown = Authority(tmp_path).certificate("127.0.0.1")
    with serving(with_tls(HI, unknown)) as server:
        result = post(transport, server.url.replace("http:", "https:"))

    assert names(result) == ["connect", "tls"]


@pytest.mark.parametrize("make", BOTH)
def test_a_refused_target_shows_no_times(make: type[AnyTransport], monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(monkeypatch).says("10.0.0.1")
    rule = TargetRule.of(allow_http=False, networks=[], ports=["*"])
    running = make(rule=rule, connections_per_receiver=1, body_max_characters=100)

    result = post(running, "https://inner.example/")
    running.close()

    assert isinstance(result, NoAnswer)
    assert result.refused
    assert (result.duration_ms, result.phases) == (None, None)
