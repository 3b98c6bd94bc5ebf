"""TLS sessions that later connections resume: shorter handshakes, in which no certificate is judged again.

A session of TLS 1.3 is offered again and again until it is too old. RFC 8446 (C.4) would have each ticket
used once, so that nobody on the way can tell that two connections are of one client; ours come from one
address and name the receiver anyway. And to take a ticket from each connection would cost half of what
resuming saves, for Python copies a session by encoding it, certificate and all. Sessions of earlier versions
are not kept: with those, who steals a receiver's ticket keys can read what was sent.
"""

import ssl
import threading
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import ClassVar, NamedTuple

# About 6 KB each.
SESSIONS_MAX = 2_000


class Receiver(NamedTuple):
    """Whom a certificate was verified for; by which authorities, says the context that has the sessions."""

    server_hostname: str
    port: int


@dataclass
class Kept:
    """A session of a full handshake. What resumed connections bring does not take its place, so it ages."""

    session: ssl.SSLSession
    ends_at: float
    is_offered: bool = False
    is_proven: bool = False
    """An answer came over a connection that resumed it."""


class Sessions:
    """The sessions of one context. Safe to share between threads.

    The first connection that offers a session is a trial, and the others offer it once that one has been
    answered: a receiver, or what stands before it, that cannot bear longer greetings fails one request and
    gets full handshakes until the session would have ended.
    """

    def __init__(self, max_age_seconds: float) -> None:
        self._max_age_seconds = max_age_seconds
        self._kept: OrderedDict[Receiver, Kept] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def offer(self, receiver: Receiver) -> Kept | None:
        """What a new connection may resume."""
        with self._lock:
            kept = self._current(receiver)
            if kept is None or (kept.is_offered and not kept.is_proven):
                return None
            kept.is_offered = True
            self._kept.move_to_end(receiver)
            return kept

    def answered(self, receiver: Receiver, offered: Kept | None, tls: ssl.SSLObject | ssl.SSLSocket) -> None:
        """An answer came over this connection: its certificate was accepted, and tickets have come."""
        if offered is not None:
            if tls.session_reused:
                offered.is_proven = True
                return
            if not offered.is_proven:
                return  # refused when it was new: asking again costs more than it is likely to save
        with self._lock:
            if self._current(receiver) is not offered:
                return  # another connection has left one
        if tls.version() == "TLSv1.3" and (session := tls.session) is not None and session.has_ticket:
            self._keep(receiver, session)

    def _current(self, receiver: Receiver) -> Kept | None:
        kept = self._kept.get(receiver)
        if kept is not None and kept.ends_at <= monotonic():
            del self._kept[receiver]
            return None
        return kept

    def _keep(self, receiver: Receiver, session: ssl.SSLSession) -> None:
        seconds = min(self._max_age_seconds, session.ticket_lifetime_hint)
        with self._lock:
            self._kept[receiver] = Kept(session, monotonic() + seconds)
            self._kept.move_to_end(receiver)
            if len(self._kept) > SESSIONS_MAX:
                self._kept.popitem(last=False)


class Resumption:
    """What one connection has to do with sessions. It does not hold the connection, which holds it."""

    def __init__(self, sessions: Sessions, tls: ssl.SSLObject | ssl.SSLSocket, port: int) -> None:
        """Before the handshake."""
        self._sessions = sessions
        self._receiver = Receiver(tls.server_hostname or "", port)
        self._offered = sessions.offer(self._receiver)
        if self._offered is not None:
            tls.session = self._offered.session
        self._is_answered = False

    def answered(self, tls: ssl.SSLObject | ssl.SSLSocket) -> None:
        """Of later answers nothing is learned."""
        if not self._is_answered:
            self._is_answered = True
            self._sessions.answered(self._receiver, self._offered, tls)


# Of the connection that the running task opens: an SSLObject knows a name and no port.
opening_port: ContextVar[int] = ContextVar("opening_port")


class ResumingObject(ssl.SSLObject):
    """TLS of a connection on an event loop."""

    sessions: ClassVar[Sessions]
    resumption: Resumption | None = None

    def do_handshake(self) -> None:
        """Called as often as there is something to read."""
        if self.resumption is None:
            self.resumption = Resumption(self.sessions, self, opening_port.get())
        super().do_handshake()


class ResumingSocket(ssl.SSLSocket):
    """TLS of a connection on a thread."""

    sessions: ClassVar[Sessions]
    resumption: Resumption | None = None

    def do_handshake(self, block: bool = False) -> None:
        if self.resumption is None:
            self.resumption = Resumption(self.sessions, self, self.getpeername()[1])
        super().do_handshake(block)


def resume_sessions(context: ssl.SSLContext, max_age_seconds: float) -> Sessions:
    """Have connections of the context resume what earlier ones of it left."""
    its_sessions = Sessions(max_age_seconds)

    class Object(ResumingObject):
        sessions = its_sessions

    class Socket(ResumingSocket):
        sessions = its_sessions

    context.sslobject_class = Object
    context.sslsocket_class = Socket
    return its_sessions


def note_answer(tls: object) -> None:
    """An answer's head came over this connection, with TLS or without."""
    if isinstance(tls, ResumingObject | ResumingSocket) and tls.resumption is not None:
        tls.resumption.answered(tls)
