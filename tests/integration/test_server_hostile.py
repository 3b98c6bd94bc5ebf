"""The API's server with requests that are more or other than they seem, and with readers that do not read."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, suppress
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.integration.test_server import answer_to, asked, connected, echo, raw
from tests.served import running, served, without_a_trace
from webhooks_project import bodies, server
from webhooks_project.asgi import OnLoop

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def port() -> Iterator[int]:
    with served(OnLoop(echo)) as own:
        yield own


def bodies_of(said: bytes) -> list[dict[str, Any]]:
    """What `echo` told each of the requests of one connection."""
    stream = io.BytesIO(said)
    stream.close = lambda: None  # type: ignore[method-assign]
    told = []
    while stream.tell() < len(said):
        response = http.client.HTTPResponse(SimpleNamespace(makefile=lambda mode: stream))  # type: ignore[arg-type]
        response.begin()
        told.append(json.loads(response.read()))
    return told


def whole(client: socket.socket) -> bytes:
    """Until the server hangs up, however it does."""
    said = b""
    with suppress(ConnectionResetError):
        while more := client.recv(65536):
            said += more
    return said


@pytest.mark.parametrize("body", [LENGTH, CHUNKED], ids=["length", "chunked"])
@pytest.mark.parametrize("is_cut", [False, True])
def test_a_call_that_offers_another_protocol_keeps_its_body(port: int, body: bytes, is_cut: bool) -> None:
    head = b"POST /call HTTP/1.1\r\nHost: a\r\n" + OFFER
    sent = head + body + LAST
    cut = len(head) + body.index(b"\r\n\r\n") + 4 if is_cut else len(sent)
    with closing(connected(port, sent[:cut])) as client:
        if is_cut:
            time.sleep(0.1)  # so that the server reads them one after the other
            client.sendall(sent[cut:])
        said = whole(client)

    first, last = bodies_of(said)
    assert (first["PATH_INFO"], first["body"]) == ("/call", HIDDEN.decode())
    assert last["PATH_INFO"] == "/last"
    assert "HTTP_UPGRADE" not in first


def test_no_connection_is_made_to_elsewhere(port: int) -> None:
    assert raw(port, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("is_cut", [False, True])
def test_what_follows_a_body_is_no_header(port: int, is_cut: bool) -> None:
    sent = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\n",
        b"X-Api-Key: k\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n",
    )
    with closing(connected(port, sent[0] if is_cut else b"".join(sent))) as client:
        if is_cut:
            time.sleep(0.1)
            client.sendall(sent[1])
        said = whole(client)

    (told,) = bodies_of(said)
    assert told["body"] == "{}"
    assert {"HTTP_X_API_KEY", "HTTP_X_FORWARDED_FOR"}.isdisjoint(told)


@pytest.mark.parametrize(
    "codings",
    [b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: Chunked"],
    ids=["one line", "two lines"],
)
def test_a_body_in_a_coding_that_is_not_understood_is_refused_and_nothing_behind_it_is_read(
    port: int, codings: bytes
) -> None:
    said = raw(port, b"POST / HTTP/1.1\r\nHost: a\r\n" + codings + b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + LAST)

    assert said.startswith(b"HTTP/1.1 501 ")
    assert said.count(b"HTTP/1.1 ") == 1


def test_a_blank_line_keeps_no_idle_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(server.Worker.CONFIG_KWARGS, "timeout_keep_alive", 1)
    with (
        served(OnLoop(echo)) as port,
        closing(connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")) as client,
    ):
        assert answer_to(client)["size"] == 0
        client.sendall(b"\r\n")
        assert whole(client) == b""


def test_requests_that_follow_each_other_are_answered_in_order(port: int) -> None:
    paths = [b"/%d" % number for number in range(server.PIPELINED_MAX)]
    said = raw(port, b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths[:-1]) + LAST)

    assert [told["PATH_INFO"] for told in bodies_of(said)] == [*(p.decode() for p in paths[:-1]), "/last"]


def test_of_requests_without_end_on_one_connection_only_a_few_wait(port: int) -> None:
    with closing(connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 5_000)) as client:
        assert whole(client).count(b"HTTP/1.1 200") < 1_000

    assert asked(port)["size"] == 0


def test_nonsense_behind_a_request_is_no_answer_to_it() -> None:
    goes_on = threading.Event()

    def slow(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        goes_on.wait(10)
        return echo(environ, start_response)

    sent = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n"
    with served(OnLoop(slow)) as port, closing(connected(port, sent)) as client:
        assert whole(client) == b""
        goes_on.set()


@pytest.mark.parametrize("cache_seconds", [0, 60], ids=["key looked up", "key kept"])
def test_strangers_that_stall_in_large_bodies_hold_up_no_caller(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, settings: Settings, cache_seconds: float
) -> None:
    settings.API_THREADS = 1
    settings.API_KEY_CACHE_SECONDS = cache_seconds
    for name in ("LARGE_MAX", "LARGE_OF_STRANGERS_MAX"):
        monkeypatch.setattr(bodies, name, 1)
    old, revoked = services.api_key_create(organization=organization, scopes=Scope.values)
    services.api_key_revoke(old)
    _, valid = services.api_key_create(organization=organization, scopes=Scope.values)
    half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n%s\r\n" + b"x" * 100_000
    with served(OnLoop(without_a_trace(echo))) as port, ExitStack() as open_:
        for header in (b"", b"X-API-Key: \xff\r\n", b"Authorization: Bearer %s\r\n" % revoked.encode()):
            open_.enter_context(closing(connected(port, half % header)))
        told = asked(port, body=b"x" * 200_000, X_API_Key=valid)

    assert told["size"] == 200_000


def large(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] != "/large":
        return echo(environ, start_response)
    start_response("200 OK", [("Content-Length", "1500000")])
    return [b"x" * 1_500_000]


def test_clients_that_do_not_read_hold_no_thread_and_are_given_up(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_THREADS = 2
    monkeypatch.setattr(server, "READ_MAX_SECONDS", 0.5)
    with running(OnLoop(large)) as (uvicorn, port), ExitStack() as open_:
        for _ in range(20):
            open_.enter_context(closing(small(port, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")))
        assert asked(port)["size"] == 0
        ends = time.monotonic() + 20
        while uvicorn.server_state.connections:
            assert time.monotonic() < ends, "it goes on waiting for them"
            time.sleep(0.05)


def test_of_too_many_clients_that_do_not_read_the_one_that_began_first_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "UNREAD_MAX", 2)
    many = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 6  # the kernel itself takes 4 MB
    with served(OnLoop(large)) as port, ExitStack() as open_:
        clients = []
        for _ in range(10):
            clients.append(open_.enter_context(closing(small(port, many + LAST))))
            wait_until_unread(clients[-1])
        for client in (clients[0], clients[-1]):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_000_000)
        first, last = whole(clients[0]), whole(clients[-1])

    assert first.count(b"HTTP/1.1 200") < 6
    assert last.count(b"HTTP/1.1 200") == 7
    assert server.Connection._unread == {}


def wait_until_unread(client: socket.socket) -> None:
    ends = time.monotonic() + 20
    while client.getsockname() not in [connection.client for connection in list(server.Connection._unread)]:
        assert time.monotonic() < ends, "nothing waits for it"
        time.sleep(0.01)


def small(port: int, sent: bytes) -> socket.socket:
    """A client whose side of the connection holds little."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client
