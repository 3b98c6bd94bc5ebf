"""Hostile resolvers, receivers and headers at the real socket."""

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from delivery.sender import Answer, NoAnswer, connections
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from tests.guard.conftest import Sender, assert_refused
from tests.integration.test_sender import (
    CHUNKED,
    HEADERS,
    NO_BODY,
    OK,
    endless,
    keep_alive,
    post,
    say,
    serving,
    take_request,
)
from tests.on_loop import BOTH, AnyTransport
from tests.sockets import Resolver

LOCAL = {"allow_http": True, "networks": ["127.0.0.0/8"], "ports": ["*"]}
Connected = list[tuple[str, int]]
PUBLIC = "93.184.216.34"

MIXED = [
    *(
        (PUBLIC, bad)
        for bad in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1")
    ),
    *((bad, PUBLIC) for bad in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "64:ff9b::a00:1", "::")),
    (PUBLIC, "1.1.1.1", "2606:4700:4700::1111", "192.168.0.1"),
    ("2606:4700:4700::1111", "fd00:ec2::254"),
    *(("10.0.0.1", bad, PUBLIC) for bad in ("127.0.0.1", "fe80::1%2")),
]


@pytest.mark.parametrize("addresses", MIXED, ids=map(" ".join, MIXED))
def test_one_bad_address_among_the_answers_refuses_all(
    sender: Sender, resolver: Resolver, connected: Connected, addresses: tuple[str, ...]
) -> None:
    resolver.says(*addresses)

    assert_refused(post(sender(), "https://hooks.example/"), ": ")
    assert connected == []


REBOUND = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:169.254.169.254", "fd00:ec2::254"]


@pytest.mark.parametrize("later", REBOUND)
def test_a_name_that_changes_its_answer_after_it_was_judged_changes_nothing(
    sender: Sender, resolver: Resolver, connected: Connected, later: str
) -> None:
    resolver.says(PUBLIC)
    resolver.says(later)

    post(sender(), "https://hooks.example/")

    assert connected == [(PUBLIC, 443)]
    assert resolver.asked == ["hooks.example"]


@pytest.mark.parametrize("later", [address for address in REBOUND if address != "127.0.0.1"])
def test_a_name_that_changes_its_answer_between_requests_is_judged_again(
    sender: Sender,
    resolver: Resolver,
    connected: Connected,
    monkeypatch: pytest.MonkeyPatch,
    later: str,
) -> None:
    monkeypatch.setattr(connections, "CONNECTION_MAX_AGE_SECONDS", 0.0)
    resolver.says("127.0.0.1")
    resolver.says(later)
    transport = sender(**LOCAL)

    with serving(keep_alive) as server:
        url = f"http://hooks.example:{server.port}/{later}"
        first, second = post(transport, url), post(transport, url)

    assert isinstance(first, Answer), first
    assert_refused(second, ": ")
    assert connected == [("127.0.0.1", server.port)]


def test_a_socket_that_came_out_elsewhere_than_judged_sends_nothing(
    sender: Sender, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Diverted(socket.socket):
        def connect(self, address: Any) -> None:
            super().connect(("127.0.0.2", address[1]))

    heard: list[bytes] = []

    def listen(sock: socket.socket, over: threading.Event) -> None:
        heard.append(sock.recv(100))

    resolver.says("127.0.0.1")

    with serving(listen, host="127.0.0.2") as server:
        monkeypatch.setattr(socket, "socket", Diverted)
        result = post(sender(**LOCAL), f"http://hooks.example:{server.port}/")
        monkeypatch.undo()

    assert_refused(result, "127.0.0.2: connected to instead of 127.0.0.1")
    assert heard in ([], [b""])


def test_where_an_address_is_dead_the_next_judged_one_is_tried(
    sender: Sender, resolver: Resolver, connected: Connected
) -> None:
    resolver.says("127.0.0.2", "127.0.0.3", "127.0.0.1")

    with serving(say(NO_BODY)) as server:
        result = post(sender(**LOCAL), f"http://hooks.example:{server.port}/")

    assert isinstance(result, Answer), result
    assert [address for address, _ in connected] == ["127.0.0.2", "127.0.0.3", "127.0.0.1"]


LOCATIONS = """
    http://127.0.0.1:{port}/elsewhere http://169.254.169.254/latest/meta-data http://[::1]/ //127.0.0.1/
    /elsewhere http://10.0.0.1/ file:///etc/passwd http://2130706433/ http://hooks.example@127.0.0.1/ gopher://127.0.0.1/
""".split()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
@pytest.mark.parametrize("location", LOCATIONS)
def test_a_redirect_leads_nowhere(sender: Sender, connected: Connected, location: str, status: int) -> None:
    head = f"HTTP/1.1 {status} Moved\r\nContent-Length: 0\r\nLocation: {location.format(port=9)}\r\n\r\n"

    with serving(say(head.encode())) as server:
        result = post(sender(**LOCAL), server.url)

    assert isinstance(result, Answer), result
    assert (result.status_code, result.accepted) == (status, False)
    assert connected == [("127.0.0.1", server.port)]


BOMB = b"x" * 50_000_000
PACKED = {
    "gzip": gzip.compress(BOMB),
    "deflate": zlib.compress(BOMB),
    "gzip, gzip": gzip.compress(gzip.compress(BOMB)),
    "br": b"\x00" * 1000,
    "zstd": b"\x28\xb5\x2f\xfd" * 1000,
}
FLOODS = {
    "10 MB of header lines": endless(OK, b"X-A: " + b"a" * 60_000 + b"\r\n"),
    "short header lines without end": endless(OK, b"a:b\r\n" * 1000),
    "one header without end": endless(OK + b"X-A: ", b"a" * 65536),
    "folded header lines without end": endless(OK + b"X-A: a\r\n", b" b\r\n" * 1000),
    "interim answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\nX-A: a\r\n\r\n" * 100),
    "a status line without end": endless(b"HTTP/1.1 200 ", b"K" * 65536),
    "body without end": endless(OK + b"\r\n", b"x" * 65536),
    "body of 1 TB": endless(OK + b"Content-Length: 1000000000000\r\n\r\n", b"x" * 65536),
    "chunks without end": endless(CHUNKED, b"1000\r\n" + b"x" * 4096 + b"\r\n"),
    "one chunk of 1 PB": endless(CHUNKED + b"ffffffffffff\r\n", b"x" * 65536),
    "chunk extension without end": endless(CHUNKED + b"1;", b"x" * 65536),
    "long trailer": endless(CHUNKED + b"0\r\n", b"X" * 65536),
    **{
        f"bomb in {coding}": say(
            OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode(), packed
        )
        for coding, packed in PACKED.items()
    },
}
FLOOD_SECONDS, FLOOD_MAX_BYTES = 5.0, 4_000_000


@pytest.mark.parametrize("talk", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_an_answer_is_cut_off_early_and_fills_no_memory(sender: Sender, talk: Any) -> None:
    transport = sender(**LOCAL)
    post(transport, "http://127.0.0.1:1/")  # what is loaded once does not count
    tracemalloc.start()
    try:
        with serving(talk) as server:
            result = post(transport, server.url, timeout=FLOOD_SECONDS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert result.duration_ms is not None
    assert result.duration_ms < FLOOD_SECONDS * 900, "it read on until the deadline"
    assert peak < FLOOD_MAX_BYTES
    assert len(getattr(result, "body", "")) <= 100


@pytest.mark.parametrize("coding", PACKED)
def test_a_packed_answer_is_kept_as_it_came(sender: Sender, coding: str) -> None:
    packed = PACKED[coding]
    head = OK + f"Content-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()

    with serving(say(head, packed)) as server:
        result = post(sender(**LOCAL), server.url)

    assert isinstance(result, Answer), result
    assert result.body == packed.decode(errors="replace").replace("\x00", "\ufffd")[:100]


TRAILERS = endless(CHUNKED + b"0\r\n", b"X-A: 1\r\n")


def test_trailers_without_end_are_left_at_the_deadline(sender: Sender) -> None:
    with serving(TRAILERS) as server:
        result = post(sender(**LOCAL), server.url, timeout=0.4)

    assert isinstance(result, NoAnswer)
    assert result.error_class in (ErrorClass.TIMEOUT, ErrorClass.PROTOCOL)


INJECTED = {
    "a line in a value": {"X-A": "a\r\nX-Evil: 1"},
    "a line feed in a value": {"X-A": "a\nX-Evil: 1"},
    "a carriage return in a value": {"X-A": "a\rX-Evil: 1"},
    "a folded line": {"X-A": "a\r\n X-Evil: 1"},
    "a second request in a value": {"X-A": "a\r\n\r\nPOST /evil HTTP/1.1\r\nHost: a"},
    "NUL in a value": {"X-A": "a\x00b"},
    "DEL in a value": {"X-A": "a\x7f"},
    "a letter beyond ASCII": {"X-A": "é"},
    "what becomes a line feed in latin-1": {"X-A": "a\u010a\u010dX-Evil: 1"},
    "a next-line character": {"X-A": "a\x85X-Evil: 1"},
    "a line in a name": {"X-A\r\nX-Evil": "1"},
    "a colon in a name": {"X-Evil: 1\r\nX-A": "1"},
    "a blank in a name": {"X-A ": "1"},
    "an empty name": {"": "1"},
    "NUL in a name": {"X-A\x00": "1"},
    "a name beyond ASCII": {"X-É": "1"},
    "Host": {"Host": "127.0.0.1"},
    "host in another case": {"hOST": "127.0.0.1"},
    "Content-Length": {"Content-Length": "0"},
    "Transfer-Encoding": {"Transfer-Encoding": "chunked"},
    "Connection": {"Connection": "close"},
    "Keep-Alive": {"Keep-Alive": "timeout=1000"},
    "TE": {"TE": "trailers"},
    "Trailer": {"Trailer": "X-A"},
    "Upgrade": {"Upgrade": "h2c"},
    "HTTP2-Settings": {"HTTP2-Settings": "AAMAAABkAAQAAP__"},
    "Expect": {"Expect": "100-continue"},
    "Proxy-Authorization": {"Proxy-Authorization": "Basic eDp5"},
    "Proxy-Connection": {"Proxy-Connection": "keep-alive"},
}


@pytest.mark.parametrize("headers", INJECTED.values(), ids=INJECTED)
def test_a_header_that_would_break_the_request_is_not_sent(
    sender: Sender, connected: Connected, headers: dict[str, str]
) -> None:
    with serving(say(NO_BODY)) as server:
        result = post(sender(**LOCAL), server.url, headers={**HEADERS, **headers})

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.NOT_SENT
    assert connected == []


PATHS = ["/a\r\nX-Evil: 1", "/a HTTP/1.1\r\nX-Evil: 1\r\n\r\n", "/a?b=\r\nX", "/\x00", "/a b"]


@pytest.mark.parametrize("path", PATHS, ids=map(repr, PATHS))
def test_a_path_that_would_break_the_request_is_not_sent(
    sender: Sender, connected: Connected, path: str
) -> None:
    with serving(say(NO_BODY)) as server:
        assert_refused(post(sender(**LOCAL), f"http://127.0.0.1:{server.port}{path}"), "URL ")

    assert connected == []


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Names below `.hanging.example` are looked up until the test is over; how many were."""
    over, running, lock = threading.Event(), [0], threading.Lock()

    def getaddrinfo(host: str, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host.endswith("hanging.example"):
            with lock:
                running[0] += 1
            over.wait(60)
            return []
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield lambda: running[0]
    over.set()


@pytest.fixture(params=BOTH)
def impatient(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    """Looks names up for 0.2 s, two at once for an organization."""
    made = request.param(
        rule=TargetRule.of(**LOCAL),  # type: ignore[arg-type]
        connections_per_receiver=1,
        body_max_characters=10,
        dns_timeout_seconds=0.2,
        lookups_per_organization=2,
    )
    yield made
    made.close()


def test_an_organization_whose_names_hang_holds_its_own_places_only(
    impatient: AnyTransport, hanging: Callable[[], int]
) -> None:
    def classes(count: int) -> list[str]:
        results = [post(impatient, f"http://{n}.hanging.example/") for n in range(count)]
        return [result.error_class for result in results if isinstance(result, NoAnswer)]

    assert classes(4) == ["timeout", "timeout", "lookup_limit", "lookup_limit"]
    assert hanging() == 2

    with serving(say(NO_BODY)) as server:
        mine = post(impatient, f"http://hooks.example:{server.port}/")
        others = post(impatient, f"http://hooks.example:{server.port}/", organization_id=2)

    assert getattr(mine, "error_class", None) == "lookup_limit"
    assert isinstance(others, Answer), others


def test_a_look_up_ends_before_the_total_deadline_does(
    impatient: AnyTransport, hanging: Callable[[], int]
) -> None:
    started = time.monotonic()

    result = post(impatient, "http://a.hanging.example/", timeout=30.0)

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - started < 5.0


def test_a_place_is_free_again_when_its_look_up_has_ended(
    impatient: AnyTransport, resolver: Resolver
) -> None:
    resolver.says("127.0.0.1")

    with serving(say(NO_BODY)) as server:
        results = [post(impatient, f"http://{n}.example:{server.port}/") for n in range(10)]

    assert [type(result) for result in results] == [Answer] * 10


def test_neither_proxies_nor_netrc_of_the_environment_count(
    sender: Sender, connected: Connected, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login planted password planted\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    heads: list[bytes] = []

    def listen(sock: socket.socket, over: threading.Event) -> None:
        heads.append(sock.recv(65536, socket.MSG_PEEK))
        take_request(sock)
        sock.sendall(NO_BODY)

    with serving(listen) as server:
        result = post(sender(**LOCAL), server.url)

    assert isinstance(result, Answer), result
    assert connected == [("127.0.0.1", server.port)]
    assert b"authorization" not in heads[0].lower()
