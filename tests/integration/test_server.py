"""The API's server with clients that send and read as they like: they are answered, or hold up nobody."""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.served import exchange, refuses, running, served
from webhooks_project import bodies, server, threads
from webhooks_project.asgi import OnLoop

Environ = dict[str, Any]


def echo(environ: Environ, start_response: Any) -> list[bytes]:
    """Says what it was asked, and what an application on threads may rely on."""
    start_response(
        "200 OK", [("Content-Type", "application/json"), ("X-Thread", threading.current_thread().name)]
    )
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    body = environ["wsgi.input"].read()
    return [json.dumps(told | {"body": body[:50].decode("latin-1"), "size": len(body)}).encode()]


@pytest.fixture
def port() -> Iterator[int]:
    with served(OnLoop(echo)) as running:
        yield running


def asked(
    port: int, method: str = "POST", path: str = "/", body: bytes = b"", **headers: str
) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    _, _, answer = exchange(port, method, path, named, body)
    told: dict[str, Any] = json.loads(answer)
    return told


def raw(port: int, sent: bytes) -> bytes:
    """All that is said until the server hangs up."""
    with closing(connected(port, sent)) as client:
        return b"".join(iter(lambda: client.recv(65536), b""))


def connected(port: int, sent: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 10.0)
    client.sendall(sent)
    return client


def answer_to(client: socket.socket) -> dict[str, Any]:
    response = http.client.HTTPResponse(client)
    response.begin()
    told: dict[str, Any] = json.loads(response.read())
    return told


def test_a_request_is_told_as_wsgi_servers_tell_it(port: int) -> None:
    told = asked(port, "PUT", "/caf%C3%A9/a%2Fb?x=%20&y", b"{}", Content_Type="a/b", X_One="1")

    assert told["REQUEST_METHOD"] == "PUT"
    assert told["PATH_INFO"].encode("latin-1").decode() == "/café/a/b"
    assert (told["QUERY_STRING"], told["SCRIPT_NAME"]) == ("x=%20&y", "")
    assert (told["CONTENT_TYPE"], told["CONTENT_LENGTH"], told["HTTP_X_ONE"]) == ("a/b", "2", "1")
    assert (told["REMOTE_ADDR"], told["SERVER_PORT"]) == ("127.0.0.1", str(port))
    assert (told["SERVER_PROTOCOL"], told["wsgi.url_scheme"], told["size"]) == ("HTTP/1.1", "http", 2)


def test_nobody_is_believed_to_come_from_elsewhere_or_by_https(port: int) -> None:
    told = asked(port, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https", Forwarded="for=203.0.113.9")

    assert (told["REMOTE_ADDR"], told["wsgi.url_scheme"]) == ("127.0.0.1", "http")
    # The settings may believe them, after all.
    assert (told["HTTP_X_FORWARDED_FOR"], told["HTTP_X_FORWARDED_PROTO"]) == ("203.0.113.9", "https")


def test_a_header_that_could_be_taken_for_another_one_is_left_out(port: int) -> None:
    said = raw(port, b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_Proto: https\r\nConnection: close\r\n\r\n")

    assert b"FORWARDED" not in said


def test_a_header_that_comes_twice_is_one_with_both_values(port: int) -> None:
    said = raw(port, b"GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-One: 2\r\nConnection: close\r\n\r\n")

    assert b'"HTTP_X_ONE": "1,2"' in said


def test_a_body_in_chunks_gets_a_length(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        client.request("POST", "/", iter([b'{"a"', b":1}"]), {"Content-Type": "a/b"}, encode_chunked=True)
        told = json.loads(client.getresponse().read())

    assert (told["CONTENT_LENGTH"], told["body"]) == ("7", '{"a":1}')


@pytest.mark.parametrize("is_chunked", [True, False])
def test_of_a_body_that_is_too_large_one_byte_too_many_is_read(
    port: int, settings: Settings, is_chunked: bool
) -> None:
    settings.API_BODY_MAX_BYTES = 300_000
    head = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 99000000"
    piece = b"x" * 100_000
    sent = (b"186a0\r\n" + piece + b"\r\n") * 4 if is_chunked else piece * 4

    with closing(connected(port, f"POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n".encode() + sent)) as client:
        assert answer_to(client)["size"] == 300_001


def test_a_body_of_several_megabytes_arrives_whole(port: int) -> None:
    assert asked(port, body=b"x" * 5_000_000)["size"] == 5_000_000


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with closing(connected(port, head)) as client:
        first = client.recv(65536)
        client.sendall(b"{}")
        told = answer_to(client)

    assert (first, told["body"]) == (b"HTTP/1.1 100 Continue\r\n\r\n", "{}")


def test_head_is_answered_without_a_body_and_the_connection_goes_on(port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for method in ("HEAD", "GET"):
            client.request(method, "/")
            answer = client.getresponse()
            assert (answer.status, bool(answer.read())) == (200, method == "GET")


def test_a_body_that_stalls_holds_no_thread_and_is_given_up(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_THREADS = 1
    monkeypatch.setattr(bodies, "BODY_MAX_SECONDS", 1.0)
    half = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"

    with served(OnLoop(echo)) as port, closing(connected(port, half)) as stalled:
        assert asked(port)["size"] == 0
        said = b"".join(iter(lambda: stalled.recv(65536), b""))

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "request_timeout"


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost:", b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n"],
    ids=["nothing", "half a head", "half a second head"],
)
def test_a_head_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_MAX_SECONDS", 0.3)

    with served(OnLoop(echo)) as port:
        said = raw(port, sent)

    assert said.count(b"200 OK") == sent.count(b"\r\n\r\n")


def test_a_call_that_takes_longer_than_a_head_may_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_MAX_SECONDS", 0.1)

    def slow(environ: Environ, start_response: Any) -> list[bytes]:
        time.sleep(0.3)
        return echo(environ, start_response)

    with served(OnLoop(slow)) as port, closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
        for _ in range(2):
            client.request("GET", "/")
            assert client.getresponse().read()
            time.sleep(0.3)


def test_a_client_that_hangs_up_in_its_body_reaches_no_application(port: int) -> None:
    calls: list[str] = []

    def noting(environ: Environ, start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        return echo(environ, start_response)

    with served(OnLoop(noting)) as port:
        connected(port, b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345").close()
        asked(port, path="/whole")

    assert calls == ["/whole"]


def test_large_bodies_wait_for_each_other_and_small_ones_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LARGE_OF_STRANGERS_MAX", 2)
    piece = b"x" * 100_000
    half = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + piece

    with served(OnLoop(echo)) as port, ExitStack() as open_:
        clients = [open_.enter_context(closing(connected(port, half))) for _ in range(3)]
        small = connected(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        open_.enter_context(closing(small))
        assert asked(port)["size"] == 0
        small.sendall(b"67890")
        assert answer_to(small)["size"] == 10
        for client in clients:
            client.sendall(piece)
        assert {answer_to(client)["size"] for client in clients} == {200_000}


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * server.LINE_MAX_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 100 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * server.HEADERS_MAX_BYTES + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Endless: " + b"x" * 400_000,
        b"GET /" + b"x" * 400_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 400_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-After: 1\r\n" * 40_000,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda head: head[:40].decode("latin-1"),
)
def test_a_head_that_is_too_large_or_none_is_refused_and_nobody_else_notices(port: int, head: bytes) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as other:
        other.request("GET", "/")
        other.getresponse().read()
        try:
            said = raw(port, head)
        except ConnectionResetError:
            # It hung up with bytes of ours unread.
            said = b"HTTP/1.1 400 "
        other.request("GET", "/")
        assert other.getresponse().status == 200

    assert said.startswith(b"HTTP/1.1 400 ")


def test_a_wish_for_another_protocol_is_answered_in_this_one(port: int) -> None:
    upgrade = (
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )

    with closing(connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade + b"\r\n")) as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_application_that_breaks_is_a_500_and_the_next_call_is_answered() -> None:
    def breaking(environ: Environ, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/broken":
            raise ValueError("broken")
        return echo(environ, start_response)

    with served(OnLoop(breaking)) as port:
        assert exchange(port, "GET", "/broken", {})[0].startswith("500")
        assert asked(port)["size"] == 0


def blocks(count: int, produced: list[int], closed: threading.Event) -> Callable[..., Iterable[bytes]]:
    """An application that says `count` blocks of 100 KB, one by one."""

    def say() -> Iterator[bytes]:
        try:
            for number in range(count):
                produced.append(number)
                yield bytes([number % 256]) * 100_000
        finally:
            closed.set()

    def application(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/long":
            return echo(environ, start_response)
        start_response("200 OK", [])
        return say()

    return application


def test_a_long_answer_comes_in_order_as_it_is_made() -> None:
    produced: list[int] = []
    with served(OnLoop(blocks(30, produced, threading.Event()))) as port:
        _, _, said = exchange(port, "GET", "/long", {})

    assert said == b"".join(bytes([number]) * 100_000 for number in range(30))


def test_a_client_that_does_not_read_gets_no_more_than_buffers_hold_and_its_thread_is_freed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_THREADS = 1
    monkeypatch.setattr(threads, "BLOCK_MAX_SECONDS", 0.5)
    produced: list[int] = []
    closed = threading.Event()

    with (
        served(OnLoop(blocks(1_000, produced, closed))) as port,
        closing(connected(port, b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")),
    ):
        assert asked(port)["size"] == 0
        assert closed.is_set()

    # Of 100 MB: the kernel holds a few on either side.
    assert len(produced) < 200


def test_calls_are_answered_beside_500_idle_connections_by_no_more_threads_than_there_may_be(
    port: int, settings: Settings
) -> None:
    with ExitStack() as open_:
        for _ in range(500):
            idle = open_.enter_context(closing(connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")))
            assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        names = {dict(exchange(port, "GET", "/", {})[1])["x-thread"] for _ in range(50)}

        last = connected(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert re.match(rb"HTTP/1.1 200 ", open_.enter_context(closing(last)).recv(65536))

    assert len(names) <= settings.API_THREADS


def test_a_kept_connection_that_asks_while_the_server_stops_is_answered_and_closed() -> None:
    with (
        running(OnLoop(echo)) as (server, port),
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client,
    ):
        client.request("GET", "/")
        client.getresponse().read()
        server.should_exit = True
        while not refuses(port):
            time.sleep(0.01)
        client.request("GET", "/")
        answer = client.getresponse()

    assert (answer.status, answer.headers["connection"]) == (200, "close")
