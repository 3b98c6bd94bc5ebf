"""The sender where sockets open: which addresses and which certificates it accepts."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import requests.adapters
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from delivery.sender import Answer, NoAnswer, Transport
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from tests.integration.test_sender import NO_BODY, OK, Talk, endless, post, say, serving, silent

DEADLINE_SECONDS = 0.4
SOON_SECONDS = 10 * DEADLINE_SECONDS


@pytest.fixture
def strict() -> Iterator[Transport]:
    """What production has, but for http: no network of our own is allowed."""
    rule = TargetRule.of(allow_http=True, networks=[])
    transport = Transport(rule=rule, connections_per_receiver=4, body_max_characters=100)
    yield transport
    transport.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resolver("1.2.3.4", "::1")` is what host names resolve to from now on; several: one after another."""
    real = socket.getaddrinfo
    answers: list[tuple[str, ...]] = []

    def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if kwargs.get("flags") == socket.AI_NUMERICHOST:
            return real(host, port, *args, **kwargs)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [info for text in addresses for info in real(text, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return lambda *addresses: answers.append(addresses)


REFUSED = {
    "a private address": ("10.0.0.1",),
    "loopback": ("127.0.0.1",),
    "loopback mapped into IPv6": ("::ffff:127.0.0.1",),
    "loopback in IPv6": ("::1",),
    "the metadata service": ("169.254.169.254",),
    "the metadata service behind NAT64": ("64:ff9b::a9fe:a9fe",),
    "one public, one not": ("93.184.216.34", "127.0.0.1"),
    "the same the other way round": ("127.0.0.1", "93.184.216.34"),
}


@pytest.mark.parametrize("addresses", REFUSED.values(), ids=REFUSED)
def test_a_name_with_a_refused_address_is_not_connected_to(
    strict: Transport, resolver: Callable[..., None], addresses: tuple[str, ...]
) -> None:
    resolver(*addresses)

    with serving(silent) as server:
        result = post(strict, f"http://hooks.example:{server.port}/", timeout=DEADLINE_SECONDS)

        assert isinstance(result, NoAnswer)
        assert (result.error_class, result.refused) == (ErrorClass.ADDRESS_NOT_ALLOWED, True)
        assert not any(address in result.message for address in addresses)
        assert server.connections == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "2130706433", "0x7f.1", "127.1", "0"]
)
def test_a_refused_address_in_the_url_is_not_connected_to(strict: Transport, host: str) -> None:
    with serving(silent) as server:
        result = post(strict, f"http://{host}:{server.port}/", timeout=DEADLINE_SECONDS)

        assert isinstance(result, NoAnswer)
        assert result.refused
        assert server.connections == []


def test_a_name_that_is_rebound_to_a_refused_address_is_judged_again(
    transport: Transport, resolver: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.sender.connections.CONNECTION_MAX_AGE_SECONDS", 0.0)
    resolver("127.0.0.1")
    resolver("10.0.0.1")

    with serving(say(NO_BODY)) as server:
        url = f"http://hooks.example:{server.port}/"
        first, second = post(transport, url), post(transport, url)

    assert isinstance(first, Answer)
    assert getattr(second, "refused", False)


def test_the_socket_goes_to_the_judged_address_and_the_name_is_asked_once(
    transport: Transport, resolver: Callable[..., None]
) -> None:
    resolver("127.0.0.1")
    resolver("127.0.0.99")

    with serving(say(NO_BODY)) as server:
        result = post(transport, f"http://hooks.example:{server.port}/")

    assert isinstance(result, Answer), result


@pytest.mark.parametrize("dead", [("127.0.0.2",), ("127.0.0.2", "127.0.0.3", "::1")])
def test_where_the_first_address_is_dead_the_next_one_is_tried(
    transport: Transport, resolver: Callable[..., None], dead: tuple[str, ...]
) -> None:
    resolver(*dead, "127.0.0.1")

    with serving(say(NO_BODY)) as server:
        result = post(transport, f"http://hooks.example:{server.port}/")

    assert isinstance(result, Answer), result


def test_ipv6_is_spoken(transport: Transport) -> None:
    with serving(say(NO_BODY), host="::1") as server:
        assert isinstance(post(transport, f"http://[::1]:{server.port}/"), Answer)


def test_a_name_that_does_not_exist_is_a_dns_error(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    result = post(transport, "http://hooks.example/")

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.DNS


def test_a_look_up_that_hangs_is_left_at_the_total_deadline(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(60) and [])
    started = time.monotonic()

    result = post(transport, "http://hooks.example/", timeout=DEADLINE_SECONDS)

    over.set()
    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


def certificate(folder: Path) -> Path:
    """A certificate of our own for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    san = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(san, critical=False).sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(signed.public_bytes(form[0]) + key.private_bytes(*form))
    return path


def with_tls(talk: Talk, path: Path) -> Talk:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)

    def encrypted(sock: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            talk(tls, over)

    return encrypted


def test_an_untrusted_certificate_is_a_tls_error_and_nothing_is_sent(
    transport: Transport, tmp_path: Path
) -> None:
    spoken: list[bytes] = []

    def listen(sock: socket.socket, over: threading.Event) -> None:
        spoken.append(sock.recv(100))

    with serving(with_tls(listen, certificate(tmp_path))) as server:
        result = post(transport, server.url.replace("http:", "https:"))

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TLS
    assert spoken in ([], [b""])


def trusting(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(path))


def test_a_trusted_certificate_is_accepted(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(monkeypatch, path := certificate(tmp_path))

    with serving(with_tls(say(OK + b"Content-Length: 2\r\n\r\nhi"), path)) as server:
        result = post(transport, server.url.replace("http:", "https:"))

    assert isinstance(result, Answer), result
    assert result.body == "hi"


@pytest.mark.parametrize("talk", [silent, endless(OK, b"X-A: 1\r\n", 0.05)], ids=["silent", "dripping"])
def test_a_stalling_tls_receiver_is_left_at_the_total_deadline(
    transport: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, talk: Talk
) -> None:
    trusting(monkeypatch, path := certificate(tmp_path))

    started = time.monotonic()
    with serving(with_tls(talk, path)) as server:
        result = post(transport, server.url.replace("http:", "https:"), timeout=DEADLINE_SECONDS)

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS


def test_a_tls_handshake_that_never_ends_is_left_at_the_total_deadline(transport: Transport) -> None:
    def drip(sock: socket.socket, over: threading.Event) -> None:
        sock.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KB, byte by byte
        while not over.wait(0.05):
            sock.sendall(b"\x00")

    started = time.monotonic()

    with serving(drip) as server:
        result = post(transport, server.url.replace("http:", "https:"), timeout=DEADLINE_SECONDS)

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.TIMEOUT
    assert time.monotonic() - started < SOON_SECONDS
