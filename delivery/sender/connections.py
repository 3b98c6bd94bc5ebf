"""Connections that judge every address where the socket opens, and connect to a judged one.

The name stays in Host, SNI and certificate check; only the socket goes to the address. A refusal
happens before anything is sent to the address, so its timing tells nothing about what is there.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from delivery import phases
from delivery.phases import PhaseClock
from delivery.sender.deadline import Deadline
from delivery.sender.lookups import Lookups
from delivery.sender.result import SendFailure, refusal
from delivery.sender.sessions import note_answer
from delivery.states import ErrorClass
from subscriptions.addresses import IPAddress, TargetRule, literal_address

# A kept connection was judged when it opened; after this long the name is asked again.
CONNECTION_MAX_AGE_SECONDS = 60.0
# Status line and headers of an answer, interim answers included.
HEAD_MAX_BYTES = 256 * 1024


# Not frozen: each request makes one, and that would take three times as long.
@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request and its answer: what judges its sockets, when it ends, and where its time goes."""

    rule: TargetRule
    organization_id: int
    deadline: Deadline
    clock: PhaseClock = field(default_factory=PhaseClock)


@dataclass(kw_only=True, slots=True)
class ThreadExchange(Exchange):
    """One that has a thread of its own, which may wait for a look-up."""

    lookups: Lookups


class _OfThread(threading.local):
    """The exchange that this thread is carrying out."""

    exchange: ThreadExchange


_of_thread = _OfThread()


@contextlib.contextmanager
def carry_out(exchange: ThreadExchange) -> Iterator[None]:
    _of_thread.exchange = exchange
    try:
        yield
    finally:
        del _of_thread.exchange


class BoundedHead:
    """Reads lines of an answer's head, up to so many bytes in all.

    The standard library bounds lines and their number, which together is 6 MB, and begins anew with
    each interim answer.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = HEAD_MAX_BYTES

    def readline(self, limit: int = -1) -> bytes:
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.HTTPException("the head of the answer is too long")
        return line

    def close(self) -> None:
        self._file.close()


class StrictResponse(http.client.HTTPResponse):
    """Bounds the head, and refuses a negative chunk size, which the standard library takes for "all"."""

    def begin(self) -> None:
        file: Any = self.fp
        bounded: Any = BoundedHead(file)
        self.fp = bounded
        try:
            super().begin()
        finally:
            if self.fp is bounded:  # else it was closed
                self.fp = file

    def _safe_read(self, amt: int) -> bytes:
        if amt < 0:
            raise http.client.HTTPException("negative chunk size")
        data: bytes = super()._safe_read(amt)  # type: ignore[misc]
        return data


class GuardedConnection(HTTPConnection):
    """Opens sockets by the rule and the deadline of the running exchange."""

    response_class = StrictResponse
    opened_at: float = 0.0

    def _new_conn(self) -> socket.socket:
        exchange = _of_thread.exchange
        if not exchange.rule.allows_port(self.port):
            raise refusal(f"port {self.port}: not in WEBHOOK_ALLOWED_PORTS")
        addresses = self._addresses(exchange)
        exchange.clock.begin(phases.CONNECT)
        return connect_to_one(addresses, self.port, exchange.deadline, self.socket_options)

    def _addresses(self, exchange: ThreadExchange) -> list[IPAddress]:
        host = self._dns_host
        if (literal := literal_address(host)) is not None:
            return judged(host, [literal], exchange.rule)
        exchange.clock.begin(phases.DNS)
        found = exchange.lookups.addresses(
            host, organization_id=exchange.organization_id, deadline=exchange.deadline
        )
        exchange.clock.end()
        return judged(host, found, exchange.rule)

    def connect(self) -> None:
        super().connect()
        _of_thread.exchange.clock.end()
        self.opened_at = time.monotonic()
        _of_thread.exchange.deadline.watch(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            if time.monotonic() - self.opened_at > CONNECTION_MAX_AGE_SECONDS:
                self.close()  # the request opens it again
            else:
                _of_thread.exchange.deadline.watch(self.sock)
        super().request(*args, **kwargs)
        _of_thread.exchange.clock.sent_at = time.monotonic_ns()

    def getresponse(self) -> Any:
        response = super().getresponse()
        _of_thread.exchange.clock.answered_at = time.monotonic_ns()
        return response


class GuardedHTTPSConnection(GuardedConnection, HTTPSConnection):
    """The same with TLS: the handshake takes the socket's time-out as its total."""

    @property
    def is_connected(self) -> bool:
        """Without anything unread: urllib3 looks at the socket, but not at what is decrypted already."""
        return super().is_connected and not (isinstance(self.sock, ssl.SSLSocket) and self.sock.pending())

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _of_thread.exchange.clock.begin(phases.TLS)
        return sock

    def getresponse(self) -> Any:
        tls = self.sock  # let go of if the receiver closes after its answer
        response = super().getresponse()
        note_answer(tls)
        return response


class GuardedPool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


def judged(host: str, addresses: list[IPAddress], rule: TargetRule) -> list[IPAddress]:
    """The addresses of the host, all of them allowed. Raises SendFailure.

    One bad address is enough to refuse: a name that mixes them is an attack or a mistake.
    """
    host_allowed = literal_address(host) is None and rule.allows_host(host)
    for address in addresses:
        if why := rule.address_refusal(address, host_allowed=host_allowed):
            raise refusal(f"{address}: {why}")
    if not addresses:
        raise SendFailure(ErrorClass.DNS, "The host name could not be resolved")
    return addresses


def connect_to_one(
    addresses: Sequence[IPAddress], port: int, deadline: Deadline, options: Any
) -> socket.socket:
    """A connection to the first address that takes one. Raises SendFailure."""
    failure = SendFailure(ErrorClass.NETWORK, "No connection could be made")
    for address in addresses:
        remaining = deadline.remaining()
        if remaining <= 0:
            break
        try:
            sock = _connected(address, port, remaining, options)
        except OSError as error:
            failure = _connect_failure(error)
        else:
            sock.settimeout(max(0.001, deadline.remaining()))
            return sock
    if deadline.remaining() <= 0:
        raise SendFailure(ErrorClass.TIMEOUT, "Connecting took too long")
    raise failure


def _connected(address: IPAddress, port: int, seconds: float, options: Any) -> socket.socket:
    """Connected to this address: a number and no name, so that nobody is asked again where it is."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options or ():
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect((str(address), port))
        # The second lock: whatever went wrong on the way here, nothing is sent to anybody else.
        peer = sock.getpeername()[0]
        if ipaddress.ip_address(peer) != address:
            raise refusal(f"{peer}: connected to instead of {address}")
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_failure(error: OSError) -> SendFailure:
    if isinstance(error, TimeoutError):
        return SendFailure(ErrorClass.TIMEOUT, "Connecting took too long")
    if isinstance(error, ConnectionRefusedError):
        return SendFailure(ErrorClass.CONNECTION_REFUSED, "The connection was refused")
    return SendFailure(
        ErrorClass.NETWORK, f"No connection could be made ({error.strerror or 'network error'})"
    )
