"""The sender at a real socket: what goes out, and what is kept of the answer."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NamedTuple

import pytest

from delivery.sender import Answer, NoAnswer, OutgoingRequest
from delivery.states import ErrorClass
from subscriptions.rules import target_rule
from tests.on_loop import BOTH, AnyTransport
from tests.receiver import Receiver, Reply

OK = b"HTTP/1.1 200 OK\r\n"
NO_BODY = OK + b"Content-Length: 0\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n"

Talk = Callable[[socket.socket, threading.Event], None]


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


class Serving(NamedTuple):
    """A server of raw bytes; `over` is set at the end of the test."""

    port: int
    connections: list[socket.socket]
    over: threading.Event

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def serving(talk: Talk, host: str = "127.0.0.1", port: int = 0) -> Iterator[Serving]:
    """Every connection is handed to `talk` on a thread of its own, and closed after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as server:
        served = Serving(server.getsockname()[1], [], threading.Event())

        def converse(sock: socket.socket) -> None:
            with suppress(OSError), sock:
                talk(sock, served.over)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    served.connections.append(sock)
                    threading.Thread(target=converse, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield served
        served.over.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def take_request(sock: socket.socket) -> bool:
    """Read one request to its end, for what lies unread when a socket closes resets the connection."""
    head, body = b"", b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(65536)
        if not piece:
            return False
        head += piece
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += sock.recv(65536)
    return True


def say(*pieces: bytes) -> Talk:
    """Read the request, answer with these bytes, close."""

    def talk(sock: socket.socket, over: threading.Event) -> None:
        take_request(sock)
        sock.sendall(b"".join(pieces))

    return talk


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Talk:
    def talk(sock: socket.socket, over: threading.Event) -> None:
        take_request(sock)
        sock.sendall(head)
        while not over.wait(pause):
            sock.sendall(piece)

    return talk


def silent(sock: socket.socket, over: threading.Event) -> None:
    over.wait(60)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def keep_alive(sock: socket.socket, over: threading.Event) -> None:
    while take_request(sock):
        sock.sendall(NO_BODY)


HEADERS = {"Content-Type": "application/json", "User-Agent": "Test", "Accept-Encoding": "identity"}


def post(
    transport: AnyTransport,
    url: str,
    *,
    headers: Mapping[str, str] = HEADERS,
    body: bytes = b"{}",
    timeout: float = 10.0,
    organization_id: int = 1,
) -> Answer | NoAnswer:
    return transport.send(
        OutgoingRequest(
            url=url,
            headers=dict(headers),
            body=body,
            timeout_seconds=timeout,
            organization_id=organization_id,
        )
    )


def answer_of(transport: AnyTransport, talk: Talk, timeout: float = 10.0) -> Answer:
    with serving(talk) as server:
        result = post(transport, server.url, timeout=timeout)
    assert isinstance(result, Answer), result
    return result


def test_exactly_these_bytes_and_headers_arrive(transport: AnyTransport, receiver: Receiver) -> None:
    body = '{"text":"Zoë \\u0000 \U0001f600"}\n'.encode() + b"\xff\x00\r\n\r\n"

    post(transport, receiver.url("/hook?a=1&b=%20%2F"), body=body)

    (request,) = receiver.requests
    assert (request.path, request.body) == ("/hook?a=1&b=%20%2F", body)
    assert {name.lower(): value for name, value in request.headers.items()} == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-length": str(len(body)),
        "content-type": "application/json",
        "user-agent": "Test",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize("status", [200, 201, 204, 226, 299, 300, 304, 400, 404, 410, 429, 500, 503, 599])
def test_only_2xx_is_an_acceptance(transport: AnyTransport, receiver: Receiver, status: int) -> None:
    receiver.reply(status)

    result = post(transport, receiver.url())

    assert isinstance(result, Answer)
    assert (result.status_code, result.accepted) == (status, 200 <= status < 300)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_target_is_kept(
    transport: AnyTransport, receiver: Receiver, status: int
) -> None:
    receiver.reply(Reply(status, {"Location": receiver.url("/elsewhere")}, b"moved"))

    result = post(transport, receiver.url())

    assert isinstance(result, Answer)
    assert (result.status_code, result.headers["Location"]) == (status, receiver.url("/elsewhere"))
    assert result.body == "moved"
    assert [request.path for request in receiver.requests] == ["/hook"]


@pytest.mark.parametrize("location", [b"http://[::1", b"http://\xff/", b"//", b"http://a:b:c/", b"\x01"])
def test_a_redirect_to_nonsense_is_an_answer_like_any_other(transport: AnyTransport, location: bytes) -> None:
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n"

    assert answer_of(transport, say(head)).status_code == 302


@pytest.mark.parametrize("head", [OK, MOVED, b"HTTP/1.1 500 Oh\r\n"], ids=["200", "302", "500"])
@pytest.mark.parametrize("framing", [b"\r\n", b"Content-Length: 10000000\r\n\r\n"], ids=["endless", "10 MB"])
def test_of_a_huge_answer_only_the_beginning_is_read(
    transport: AnyTransport, head: bytes, framing: bytes
) -> None:
    result = answer_of(transport, endless(head + framing, b"x" * 65536), timeout=2.0)

    assert result.body == "x" * 2048
    assert result.duration_ms < 1500


CHUNKS = {
    "of size -1": b"-1\r\n",
    "of size -5": b"-5\r\n",
    "of no size": b"zz\r\n",
    "of 1 PB": b"ffffffffffff\r\n",
    "with an extension without end": b"1;",
    "with a trailer without end": b"0\r\n",
}


@pytest.mark.parametrize("begin", CHUNKS.values(), ids=CHUNKS)
def test_an_endless_answer_in_impossible_chunks_is_capped_too(transport: AnyTransport, begin: bytes) -> None:
    with serving(endless(CHUNKED + begin, b"x" * 65536)) as server:
        result = post(transport, server.url, timeout=2.0)

    assert result.duration_ms is not None
    assert result.duration_ms < 1500, "it read on until the deadline"


@pytest.mark.parametrize("head", [OK, MOVED], ids=["200", "302"])
def test_a_compressed_answer_stays_compressed(transport: AnyTransport, head: bytes) -> None:
    bomb = gzip.compress(b"x" * 20_000_000)
    head += b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)

    result = answer_of(transport, say(head, bomb))

    assert result.body.startswith("\x1f\ufffd\x08")


def test_an_answer_that_is_no_text_is_kept_without_what_the_database_cannot_hold(
    transport: AnyTransport,
) -> None:
    body = b"a\x00b\xff\xc3c\xed\xa0\x80"
    head = b"X-Odd: b\xffc\r\nContent-Length: %d\r\n\r\n" % len(body)

    result = answer_of(transport, say(OK + head + body))

    assert result.body == "a\ufffdb\ufffd\ufffdc\ufffd\ufffd\ufffd"
    assert result.headers["X-Odd"] == "b\xffc"


def test_a_header_with_a_nul_is_kept_without_it_or_is_no_valid_answer(transport: AnyTransport) -> None:
    with serving(say(OK + b"X-Odd: a\x00b\r\nContent-Length: 0\r\n\r\n")) as server:
        result = post(transport, server.url)

    if isinstance(result, Answer):
        assert result.headers["X-Odd"] == "a\ufffdb"
    else:
        assert result.error_class == ErrorClass.PROTOCOL


def test_headers_of_an_answer_are_bounded_in_number_and_length(transport: AnyTransport) -> None:
    many = b"".join(b"n%d: %s\r\n" % (n, b"v" * 2000) for n in range(80))
    head = OK + b"Content-Length: 0\r\n" + b"n" * 600 + b": v\r\n" + many

    result = answer_of(transport, say(head + b"\r\n"))

    assert len(result.headers) == 50
    assert max(map(len, result.headers)) == max(map(len, result.headers.values())) == 512
