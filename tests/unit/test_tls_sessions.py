"""Which TLS session a new connection may resume."""

import ssl
from typing import Any

import pytest

from delivery.sender import sessions
from delivery.sender.sessions import Resumption, Sessions, resume_sessions

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Session:
    """What of `ssl.SSLSession` counts."""

    has_ticket = True
    ticket_lifetime_hint = 7200


class Connection:
    """As much of a TLS connection; its receiver resumes whatever is offered, unless it refuses."""

    def __init__(self, *, host: str = "a.example", refuses: bool = False, version: str = "TLSv1.3") -> None:
        self.server_hostname = host
        self.session: Any = None
        self._refuses = refuses
        self._version = version

    @property
    def session_reused(self) -> bool:
        return self.session is not None and self.offered and not self._refuses

    def version(self) -> str:
        return self._version

    def open(self, kept: Sessions, port: int = 443) -> Resumption:
        tls: Any = self
        made = Resumption(kept, tls, port)
        self.offered = self.session is not None
        if not self.session_reused:
            self.session = Session()
        return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(sessions, "monotonic", made)
    return made


@pytest.fixture
def kept(clock: Clock) -> Sessions:
    return Sessions(HOUR)


def exchange(kept: Sessions, port: int = 443, **values: Any) -> bool:
    """One connection and one answer; whether it resumed a session."""
    connection: Any = Connection(**values)
    connection.open(kept, port).answered(connection)
    return bool(connection.session_reused)


def test_a_session_is_resumed_again_and_again_until_its_age(kept: Sessions, clock: Clock) -> None:
    assert [exchange(kept) for _ in range(4)] == [False, True, True, True]

    clock.now += HOUR - 1
    assert exchange(kept)
    clock.now += 1
    assert [exchange(kept) for _ in range(2)] == [False, True]


def test_it_ends_with_the_ticket_if_that_is_sooner(
    kept: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Session, "ticket_lifetime_hint", 60)
    exchange(kept)

    clock.now += 60

    assert not exchange(kept)


@pytest.mark.parametrize("other", [{"host": "b.example"}, {"port": 8443}])
def test_another_name_or_port_is_another_receiver(kept: Sessions, other: dict[str, Any]) -> None:
    exchange(kept)

    assert not exchange(kept, **other)


def test_only_one_connection_tries_a_new_session(kept: Sessions) -> None:
    exchange(kept)
    trial: Any = Connection()
    resumption = trial.open(kept)

    assert not exchange(kept)
    resumption.answered(trial)

    assert trial.session_reused
    assert exchange(kept)


def test_a_trial_without_an_answer_is_not_repeated_before_the_age(kept: Sessions, clock: Clock) -> None:
    exchange(kept)
    Connection().open(kept)

    assert [exchange(kept) for _ in range(3)] == [False, False, False]

    clock.now += HOUR
    assert [exchange(kept) for _ in range(2)] == [False, True]


def test_a_new_session_that_is_refused_is_not_offered_again(kept: Sessions) -> None:
    exchange(kept)

    assert [exchange(kept, refuses=True), exchange(kept), exchange(kept)] == [False, False, False]


def test_a_proven_session_that_is_refused_makes_room_for_the_next(kept: Sessions) -> None:
    exchange(kept)
    exchange(kept)

    assert [exchange(kept, refuses=True), exchange(kept), exchange(kept)] == [False, True, True]


def test_of_connections_opened_together_the_first_session_stays(kept: Sessions) -> None:
    together: list[Any] = [Connection() for _ in range(3)]
    resumptions = [connection.open(kept) for connection in together]
    for connection, resumption in zip(together, resumptions, strict=True):
        resumption.answered(connection)
    later: Any = Connection()

    later.open(kept)

    assert later.session is together[0].session


def test_sessions_before_tls_1_3_and_without_a_ticket_are_not_kept(
    kept: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange(kept, version="TLSv1.2")
    monkeypatch.setattr(Session, "has_ticket", False)
    exchange(kept)

    assert len(kept) == 0


def test_the_one_that_was_not_resumed_for_longest_makes_room(
    kept: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 3)
    hosts = [f"{number}.example" for number in range(3)]
    for host in hosts:
        exchange(kept, host=host)
    exchange(kept, host=hosts[0])

    exchange(kept, host="new.example")

    assert len(kept) == 3
    assert exchange(kept, host=hosts[0])
    assert not exchange(kept, host=hosts[1])


def test_each_context_has_sessions_of_its_own() -> None:
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) for _ in range(2)]

    first, second = (resume_sessions(context, HOUR) for context in contexts)

    assert first is not second
    assert [context.sslobject_class.sessions for context in contexts] == [first, second]  # type: ignore[attr-defined]
    assert [context.sslsocket_class.sessions for context in contexts] == [first, second]  # type: ignore[attr-defined]
