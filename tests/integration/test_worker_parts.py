"""What lives as long as a worker process: a transport that always comes back, the requeuer's thread."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from celery.signals import worker_shutdown
from django.db import connection
from pytest_django import Settings

from delivery import worker
from delivery.models import Delivery
from delivery.requeue import requeue_once
from delivery.sender import Answer, NoAnswer, Transport, connections
from delivery.states import ErrorClass, Lane
from subscriptions.addresses import TargetRule
from subscriptions.models import Organization, Subscription
from tests.brokers import pointed_at, valkey
from tests.integration.test_outbox import happen
from tests.integration.test_sender import (
    CHUNKED,
    MOVED,
    NO_BODY,
    OK,
    Talk,
    closed_port,
    endless,
    keep_alive,
    post,
    say,
    serving,
    silent,
    take_request,
)
from tests.receiver import Receiver, Reply

DEADLINE_SECONDS, SOON_SECONDS = 0.4, 4.0


def reset(sock: socket.socket, over: threading.Event) -> None:
    """Close in the middle of the answer in the rudest way that TCP knows."""
    take_request(sock)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def error_of(transport: Transport, talk: Talk, **kwargs: Any) -> ErrorClass:
    with serving(talk) as server:
        result = post(transport, server.url, **kwargs)
    assert isinstance(result, NoAnswer), result
    return result.error_class


def test_connections_are_kept_and_used_again(transport: Transport) -> None:
    with serving(keep_alive) as server:
        results = [post(transport, server.url) for _ in range(5)]

    assert all(isinstance(result, Answer) and result.accepted for result in results)
    assert len(server.connections) == 1


def test_an_aged_connection_is_replaced(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTION_MAX_AGE_SECONDS", 0.0)

    with serving(keep_alive) as server:
        results = [post(transport, server.url) for _ in range(3)]

    assert all(isinstance(result, Answer) and result.accepted for result in results)
    assert len(server.connections) == 3


def test_a_kept_connection_that_the_receiver_has_closed_does_no_harm(transport: Transport) -> None:
    closed = threading.Semaphore(0)

    def answer_and_close(sock: socket.socket, over: threading.Event) -> None:
        say(NO_BODY)(sock, over)
        sock.close()
        closed.release()

    with serving(answer_and_close) as server:
        first = post(transport, server.url)
        closed.acquire()
        second = post(transport, server.url)

    assert isinstance(first, Answer)
    assert isinstance(second, Answer), second


def test_cookies_are_not_kept(transport: Transport, receiver: Receiver) -> None:
    receiver.reply(Reply(200, {"Set-Cookie": "session=1; Path=/"}))

    post(transport, receiver.url())
    post(transport, receiver.url())

    assert [request.headers["Cookie"] for request in receiver.requests] == [None, None]


def test_proxies_of_the_environment_are_ignored(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    rule = TargetRule.of(allow_http=True, networks=["127.0.0.0/8"], ports=["*"])
    transport = Transport(rule=rule, connections_per_receiver=1, body_max_characters=10)

    result = post(transport, receiver.url())

    transport.close()
    assert isinstance(result, Answer)


def test_many_threads_share_a_transport(transport: Transport) -> None:
    numbers = count()

    def twenty(_: int) -> list[Answer | NoAnswer]:
        return [post(transport, server.url, body=str(next(numbers)).encode()) for _ in range(20)]

    with serving(keep_alive) as server, ThreadPoolExecutor(64) as threads:
        results = [result for some in threads.map(twenty, range(64)) for result in some]

    assert len(results) == 64 * 20
    assert {result.status_code if isinstance(result, Answer) else result for result in results} == {200}


STALLING = {
    "hangs before the headers": silent,
    "drips the headers": endless(OK, b"X-A: 1\r\n", 0.05),
    "drips one header": endless(OK + b"X-A: ", b"1", 0.05),
    "drips the body": endless(OK + b"\r\n", b"x", 0.05),
    "drips the body of a redirect": endless(MOVED + b"\r\n", b"x", 0.05),
    "drips chunks": endless(CHUNKED, b"1\r\nx\r\n", 0.05),
    "drips trailers": endless(CHUNKED + b"0\r\n", b"X-A: 1\r\n", 0.05),
    "says continue for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
}


@pytest.mark.parametrize("talk", STALLING.values(), ids=STALLING)
def test_a_receiver_that_stalls_is_left_at_the_total_deadline(transport: Transport, talk: Talk) -> None:
    started = time.monotonic()

    error = error_of(transport, talk, timeout=DEADLINE_SECONDS)

    assert error is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


def test_a_receiver_that_never_reads_is_left_at_the_total_deadline(transport: Transport) -> None:
    started = time.monotonic()

    error = error_of(transport, silent, timeout=DEADLINE_SECONDS, body=b"x" * 20_000_000)

    assert error is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


BROKEN = {
    "reset in the middle": (reset, ErrorClass.CONNECTION_RESET),
    "close without an answer": (say(b""), ErrorClass.CONNECTION_RESET),
    "garbage": (say(b"SSH-2.0-OpenSSH_9.6\r\n"), ErrorClass.PROTOCOL),
    "a thousand headers": (say(OK + b"a: b\r\n" * 1000 + b"\r\n"), ErrorClass.PROTOCOL),
    "a header without end": (say(OK + b"a: " + b"b" * 200_000 + b"\r\n\r\n"), ErrorClass.PROTOCOL),
    "a body that ends early": (say(OK + b"Content-Length: 9\r\n\r\nhalf"), ErrorClass.PROTOCOL),
    "chunks that end early": (say(CHUNKED + b"9\r\nhalf"), ErrorClass.PROTOCOL),
}


@pytest.mark.parametrize(("talk", "expected"), BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_none_and_the_class_of_the_error_says_why(
    transport: Transport, talk: Talk, expected: ErrorClass
) -> None:
    assert error_of(transport, talk) is expected


def test_a_closed_port_is_a_refused_connection(transport: Transport) -> None:
    result = post(transport, f"http://127.0.0.1:{closed_port()}/hook")

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.CONNECTION_REFUSED


@pytest.fixture
def looks(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Released each time the running loop has looked."""
    settings.REQUEUE_INTERVAL_SECONDS = 0.01
    looked = threading.Semaphore(0)

    def look(**how: bool) -> int:
        try:
            return requeue_once(**how)
        finally:
            looked.release()

    monkeypatch.setattr(worker, "requeue_once", look)
    loop = worker.RequeueLoop()
    loop.start()
    yield looked
    loop.stop()
    loop._thread.join(10)
    assert not loop._thread.is_alive(), "the requeuer's thread does not stop"


def test_the_requeuer_looks_again_and_again_though_the_broker_is_away(looks: threading.Semaphore) -> None:
    assert all(looks.acquire(timeout=10) for _ in range(3))


def test_the_requeuer_survives_a_database_that_restarts(
    looks: threading.Semaphore, organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    with valkey() as broker, pointed_at(broker.url):
        assert looks.acquire(timeout=10)
        terminate_other_connections()
        subscribe()
        delivery = happen(organization).deliveries.get()
        Delivery.objects.update(nudged_at=None)

        while not (woken := broker.wake_ups(Lane.FIRST)):
            assert looks.acquire(timeout=10), "it does not look any more"

    assert woken == [(str(delivery.id), 1)]


def terminate_other_connections() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND backend_type = 'client backend'"
        )


def test_a_process_has_one_set_of_parts() -> None:
    assert worker.parts() is worker.parts()


def test_a_worker_that_ends_closes_its_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(worker.parts().transport, "close", lambda: closed.append(True))

    worker_shutdown.send(sender=None)

    assert closed == [True]
