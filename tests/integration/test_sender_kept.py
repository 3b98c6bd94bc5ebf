"""The sender and connections that stay open: what a receiver says there without being asked."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from delivery.sender import Answer
from subscriptions.rules import target_rule
from tests.integration.test_sender import NO_BODY, keep_alive, post, serving, take_request
from tests.on_loop import BOTH, AnyTransport, OnLoop

REFUSED = b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BANNER = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


class Talkative:
    """Accepts the first request, says more when it is told to, and refuses whatever comes after."""

    def __init__(self, more: bytes, closes: bool) -> None:
        self._more, self._closes = more, closes
        self.go_on, self.left = threading.Event(), threading.Event()
        self._connections = 0

    def __call__(self, sock: socket.socket, over: threading.Event) -> None:
        self._connections += 1
        if self._connections == 1:
            take_request(sock)
            sock.sendall(NO_BODY)
            self.go_on.wait(10)
            sock.sendall(self._more)
            if self._closes:
                self.left.set()
                return
            # The sender leaves; one that stays would be refused here as well.
            sock.settimeout(0.5)
            try:
                sock.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                pass  # one that looks only before the next request
            except ConnectionError:
                return
            finally:
                self.left.set()
            sock.settimeout(None)
        while take_request(sock):
            sock.sendall(REFUSED)


@pytest.mark.parametrize(
    ("more", "closes"),
    [(NO_BODY, False), (NO_BODY[:20], False), (NO_BODY * 2, False), (TIMED_OUT, True), (TIMED_OUT, False)],
    ids=["an answer", "half an answer", "two answers", "408 and the end", "408"],
)
def test_what_nobody_asked_for_is_not_the_answer_of_the_next_request(
    transport: AnyTransport, more: bytes, closes: bool
) -> None:
    talk = Talkative(more, closes)
    with serving(talk) as server:
        first = post(transport, server.url)
        talk.go_on.set()
        assert talk.left.wait(10)
        second = post(transport, server.url)

    assert isinstance(first, Answer), first
    assert isinstance(second, Answer), second
    assert (first.status_code, second.status_code) == (200, 500)
    assert len(server.connections) == 2


@pytest.mark.parametrize(("more", "closes"), [(NO_BODY, False), (b"", True)], ids=["an answer", "the end"])
def test_nor_is_it_if_the_loop_was_too_busy_to_see_it_come(more: bytes, closes: bool) -> None:
    running = OnLoop(rule=target_rule(), body_max_characters=2048)
    talk = Talkative(more, closes)

    def meanwhile() -> None:
        talk.go_on.set()
        assert talk.left.wait(10)
        time.sleep(0.05)  # until the socket, which is closed after that, has said so

    try:
        with serving(talk) as server:
            post(running, server.url)
            running.busy = meanwhile
            second = post(running, server.url)
    finally:
        running.close()

    assert isinstance(second, Answer), second
    assert second.status_code == 500
    assert len(server.connections) == 2


def test_a_connection_on_which_nothing_else_is_said_is_kept(transport: AnyTransport) -> None:
    with serving(keep_alive) as server:
        results = [post(transport, server.url) for _ in range(3)]

    assert [type(result) for result in results] == [Answer] * 3
    assert len(server.connections) == 1


def test_a_receiver_that_is_busy_may_answer_before_it_is_asked(transport: AnyTransport) -> None:
    def talk(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(BANNER)
        take_request(sock)

    with serving(talk) as server:
        result = post(transport, server.url)

    assert isinstance(result, Answer), result
    assert result.status_code == 503
