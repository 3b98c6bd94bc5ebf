"""The sender and TLS: which certificates it accepts, for which name, and until when it waits."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.sender import Answer, NoAnswer
from delivery.sender.transport import tls_context
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from subscriptions.rules import target_rule
from tests.certificates import Authority
from tests.integration.test_sender import OK, Talk, endless, post, say, serving, silent, take_request
from tests.on_loop import BOTH, AnyTransport
from tests.sockets import Resolver

DEADLINE_SECONDS = 0.4
SOON_SECONDS = 10 * DEADLINE_SECONDS
HI = say(OK + b"Content-Length: 2\r\n\r\nhi")


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=BOTH)
def trusting(request: pytest.FixtureRequest, authority: Authority) -> Iterator[AnyTransport]:
    """Of an operator whose WEBHOOK_CA_FILE names the authority."""
    rule = TargetRule.of(allow_http=False, networks=["127.0.0.0/8"], ports=["*"])
    made = request.param(
        rule=rule, connections_per_receiver=1, body_max_characters=100, ca_file=str(authority.file)
    )
    yield made
    made.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver(monkeypatch)
    made.says("127.0.0.1")
    return made


def with_tls(talk: Talk, path: Path, asked_for: list[str | None] | None = None) -> Talk:
    """`asked_for` takes the names that clients ask for in their greeting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    if asked_for is not None:
        context.sni_callback = lambda _, name, __: asked_for.append(name)

    def encrypted(sock: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            talk(tls, over)

    return encrypted


def hears(heard: list[bytes]) -> Talk:
    def talk(sock: socket.socket, over: threading.Event) -> None:
        heard.append(sock.recv(100))

    return talk


def error_of(result: Answer | NoAnswer) -> ErrorClass:
    assert isinstance(result, NoAnswer), result
    return result.error_class


def test_a_certificate_of_the_operators_own_authority_is_accepted_if_the_settings_name_it(
    trusting: AnyTransport, authority: Authority
) -> None:
    with serving(with_tls(HI, authority.certificate("127.0.0.1"))) as server:
        result = post(trusting, server.url.replace("http:", "https:"))

    assert isinstance(result, Answer), result
    assert result.body == "hi"


def test_what_was_decrypted_with_an_answer_and_not_read_is_not_the_next_one(
    trusting: AnyTransport, authority: Authority
) -> None:
    answer = OK + b"Content-Length: %04d\r\n\r\n"
    first, stray, second = (answer % 2 + body for body in (b"hi", b"no", b"ho"))
    # All in one record, of which the standard library reads 8 KB at a time.
    filler_bytes = 8192 - len(first) - len(answer % 0)
    first += answer % filler_bytes + b"x" * filler_bytes + stray

    def talk(sock: socket.socket, over: threading.Event) -> None:
        said = first if len(served) == 1 else second
        while take_request(sock):
            sock.sendall(said)

    with serving(with_tls(talk, authority.certificate("127.0.0.1"))) as server:
        served = server.connections
        results = [post(trusting, server.url.replace("http:", "https:")) for _ in range(2)]

    assert [result.body for result in results if isinstance(result, Answer)] == ["hi", "ho"]


def test_without_the_setting_it_is_a_tls_error_and_nothing_is_sent(
    transport: AnyTransport, authority: Authority
) -> None:
    heard: list[bytes] = []

    with serving(with_tls(hears(heard), authority.certificate("127.0.0.1"))) as server:
        result = post(transport, server.url.replace("http:", "https:"))

    assert error_of(result) is ErrorClass.TLS
    assert heard in ([], [b""])


def test_the_usual_authorities_stay_trusted_beside_it(authority: Authority) -> None:
    usual, more = tls_context("").get_ca_certs(), tls_context(str(authority.file)).get_ca_certs()

    assert len(usual) > 50
    assert len(more) == len(usual) + 1


def test_the_name_stays_in_greeting_certificate_and_host_though_the_socket_goes_to_an_address(
    trusting: AnyTransport, authority: Authority, resolver: Resolver
) -> None:
    asked_for: list[str | None] = []
    heads: list[bytes] = []

    def listen(sock: socket.socket, over: threading.Event) -> None:
        heads.append(b"")
        while not heads[0].endswith(b"{}"):
            heads[0] += sock.recv(65536)
        sock.sendall(OK + b"Content-Length: 0\r\n\r\n")

    with serving(with_tls(listen, authority.certificate("hooks.example"), asked_for)) as server:
        result = post(trusting, f"https://HOOKS.example.:{server.port}/")

    assert isinstance(result, Answer), result
    assert asked_for == ["hooks.example"]
    assert b"\r\nHost: hooks.example:%d\r\n" % server.port in heads[0]


def test_a_certificate_for_another_name_is_a_tls_error_and_nothing_is_sent(
    trusting: AnyTransport, authority: Authority, resolver: Resolver
) -> None:
    heard: list[bytes] = []

    with serving(with_tls(hears(heard), authority.certificate("other.example"))) as server:
        result = post(trusting, f"https://hooks.example:{server.port}/")

    assert error_of(result) is ErrorClass.TLS
    assert heard in ([], [b""])


def test_a_certificate_for_the_address_does_not_stand_for_the_name(
    trusting: AnyTransport, authority: Authority, resolver: Resolver
) -> None:
    with serving(with_tls(take, authority.certificate("127.0.0.1"))) as server:
        result = post(trusting, f"https://hooks.example:{server.port}/")

    assert error_of(result) is ErrorClass.TLS


def take(sock: socket.socket, over: threading.Event) -> None:
    take_request(sock)


@pytest.mark.parametrize("talk", [silent, endless(OK, b"X-A: 1\r\n", 0.05)], ids=["silent", "dripping"])
def test_a_stalling_tls_receiver_is_left_at_the_total_deadline(
    trusting: AnyTransport, authority: Authority, talk: Talk
) -> None:
    started = time.monotonic()
    with serving(with_tls(talk, authority.certificate("127.0.0.1"))) as server:
        result = post(trusting, server.url.replace("http:", "https:"), timeout=DEADLINE_SECONDS)

    assert error_of(result) is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


def test_a_tls_handshake_that_never_ends_is_left_at_the_total_deadline(transport: AnyTransport) -> None:
    def drip(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KB, byte by byte
        while not over.wait(0.05):
            sock.sendall(b"\x00")

    started = time.monotonic()

    with serving(drip) as server:
        result = post(transport, server.url.replace("http:", "https:"), timeout=DEADLINE_SECONDS)

    assert error_of(result) is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS
