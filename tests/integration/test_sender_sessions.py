"""The sender and TLS sessions at a real receiver: when a later connection resumes an earlier one's."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from delivery import worker
from delivery.sender import Answer, NoAnswer, sessions
from delivery.sender.transport import tls_context
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from tests.certificates import Authority
from tests.integration.test_sender import OK, Serving, post, serving, take_request
from tests.on_loop import BOTH, AnyTransport
from tests.sockets import Resolver

HOUR = 3600.0
ANSWER = OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi"
NAME, OTHER_NAME = "hooks.example", "more.hooks.example"


class TlsReceiver:
    """Answers one request per connection, and notes of each whether it resumed a session."""

    def __init__(self, certificate: Path) -> None:
        self._certificate = certificate
        self.resumed: list[bool] = []
        self.fails_if_resumed = False
        self.restart()

    def restart(self, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        """Forget the keys of all tickets."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.maximum_version = newest
        self._context.load_cert_chain(self._certificate)

    @contextmanager
    def listening(self) -> Iterator[Serving]:
        """On one more port."""
        with serving(self._talk) as served:
            yield served

    def _talk(self, sock: socket.socket, over: threading.Event) -> None:
        with self._context.wrap_socket(sock, server_side=True) as tls:
            self.resumed.append(bool(tls.session_reused))
            if not (tls.session_reused and self.fails_if_resumed):
                take_request(tls)
                tls.sendall(ANSWER)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_receiver(authority: Authority) -> TlsReceiver:
    return TlsReceiver(authority.certificate(NAME, OTHER_NAME))


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver(monkeypatch)
    made.says("127.0.0.1")
    return made


@pytest.fixture(params=BOTH)
def kind(request: pytest.FixtureRequest) -> type[AnyTransport]:
    chosen: type[AnyTransport] = request.param
    return chosen


def trusting(kind: type[AnyTransport], ca_file: Path, max_age_seconds: float = HOUR) -> AnyTransport:
    return kind(
        rule=TargetRule.of(allow_http=False, networks=["127.0.0.0/8"], ports=["*"]),
        connections_per_receiver=8,
        body_max_characters=100,
        ca_file=str(ca_file),
        tls_session_max_age_seconds=max_age_seconds,
    )


@pytest.fixture
def transport(kind: type[AnyTransport], authority: Authority, resolver: Resolver) -> Iterator[AnyTransport]:
    made = trusting(kind, authority.file)
    yield made
    made.close()


def kept(authority: Authority) -> sessions.Sessions:
    its_class = tls_context(str(authority.file), HOUR).sslobject_class
    assert issubclass(its_class, sessions.ResumingObject)
    return its_class.sessions


def ask(transport: AnyTransport, server: Serving, host: str = NAME) -> Answer | NoAnswer:
    return post(transport, f"https://{host}:{server.port}/")


def delivered(transport: AnyTransport, server: Serving, host: str = NAME) -> bool:
    result = ask(transport, server, host)
    return isinstance(result, Answer) and result.body == "hi"


def test_connections_after_the_first_resume_its_session(
    transport: AnyTransport, tls_receiver: TlsReceiver
) -> None:
    with tls_receiver.listening() as server:
        assert all(delivered(transport, server) for _ in range(4))

    assert tls_receiver.resumed == [False, True, True, True]


def test_a_session_is_not_offered_to_another_port(transport: AnyTransport, tls_receiver: TlsReceiver) -> None:
    with tls_receiver.listening() as server, tls_receiver.listening() as neighbour:
        assert all(delivered(transport, to) for to in (server, neighbour, neighbour))

    assert tls_receiver.resumed == [False, False, True]


def test_nor_to_another_name_of_the_same_server(transport: AnyTransport, tls_receiver: TlsReceiver) -> None:
    with tls_receiver.listening() as server:
        assert all(delivered(transport, server, host) for host in (NAME, OTHER_NAME, OTHER_NAME))

    assert tls_receiver.resumed == [False, False, True]


def test_nor_by_senders_that_trust_other_authorities(
    transport: AnyTransport,
    kind: type[AnyTransport],
    tls_receiver: TlsReceiver,
    authority: Authority,
    tmp_path: Path,
) -> None:
    same = tmp_path / "same.pem"
    same.write_bytes(authority.file.read_bytes())
    other = trusting(kind, same)

    with tls_receiver.listening() as server:
        assert all(delivered(by, server) for by in (transport, other, other))

    other.close()
    assert tls_receiver.resumed == [False, False, True]


def test_a_receiver_that_no_longer_knows_the_session_gets_its_delivery_all_the_same(
    transport: AnyTransport, tls_receiver: TlsReceiver
) -> None:
    with tls_receiver.listening() as server:
        assert all(delivered(transport, server) for _ in range(2))
        tls_receiver.restart()
        assert all(delivered(transport, server) for _ in range(2))

    assert tls_receiver.resumed == [False, True, False, True]


def test_a_receiver_that_fails_on_resumed_connections_loses_one_request(
    transport: AnyTransport, tls_receiver: TlsReceiver
) -> None:
    tls_receiver.fails_if_resumed = True

    with tls_receiver.listening() as server:
        outcomes = [delivered(transport, server) for _ in range(4)]

    assert outcomes == [True, False, True, True]
    assert tls_receiver.resumed == [False, True, False, False]


def test_after_its_age_the_certificate_is_judged_again(
    transport: AnyTransport, tls_receiver: TlsReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(sessions, "monotonic", lambda: now)

    with tls_receiver.listening() as server:
        delivered(transport, server)
        now = HOUR - 1
        delivered(transport, server)
        now = HOUR
        delivered(transport, server)

    assert tls_receiver.resumed == [False, True, False]


def test_a_failed_verification_leaves_nothing_to_resume(
    transport: AnyTransport, authority: Authority, tls_receiver: TlsReceiver
) -> None:
    with tls_receiver.listening() as server:
        results = [ask(transport, server, "other.example") for _ in range(2)]

    assert [result.error_class for result in results if isinstance(result, NoAnswer)] == [ErrorClass.TLS] * 2
    assert len(kept(authority)) == 0


def test_a_session_opens_no_way_to_an_address_that_is_refused(
    transport: AnyTransport, tls_receiver: TlsReceiver, resolver: Resolver
) -> None:
    resolver.says("10.0.0.1")  # the second time

    with tls_receiver.listening() as server:
        assert delivered(transport, server)
        result = ask(transport, server)

    assert isinstance(result, NoAnswer)
    assert result.error_class is ErrorClass.ADDRESS_NOT_ALLOWED
    assert tls_receiver.resumed == [False]


def test_before_tls_1_3_every_handshake_is_a_full_one(
    transport: AnyTransport, tls_receiver: TlsReceiver
) -> None:
    tls_receiver.restart(ssl.TLSVersion.TLSv1_2)

    with tls_receiver.listening() as server:
        assert all(delivered(transport, server) for _ in range(2))

    assert tls_receiver.resumed == [False, False]


@pytest.mark.parametrize(("seconds", "resumes"), [(0.0, False), (60.0, True)])
def test_a_setting_says_whether_workers_resume(
    authority: Authority,
    tls_receiver: TlsReceiver,
    resolver: Resolver,
    settings: Settings,
    seconds: float,
    resumes: bool,
) -> None:
    settings.WEBHOOK_CA_FILE = str(authority.file)
    settings.WEBHOOK_TLS_SESSION_MAX_AGE_SECONDS = seconds
    transport = worker.new_transport()

    with tls_receiver.listening() as server:
        assert all(delivered(transport, server) for _ in range(2))

    transport.close()
    assert tls_receiver.resumed == [False, resumes]
