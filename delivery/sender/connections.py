"""Connections that judge every address where the socket opens, and connect to a judged one.

The name stays in Host, SNI and certificate check; only the socket goes to the address. A refusal
happens before anything is sent to the address, so its timing tells nothing about what is there.
"""

import contextlib
import http.client
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from delivery.sender.deadline import Deadline
from delivery.sender.result import SendFailure
from delivery.states import ErrorClass
from subscriptions.addresses import IPAddress, TargetRule

# A kept connection was judged when it opened; after this long the name is asked again.
CONNECTION_MAX_AGE_SECONDS = 60.0
# getaddrinfo has no time-out of its own, so it runs where it can be abandoned. Threads that hang in
# it are bounded by this number.
RESOLVER_THREADS = 32
REFUSED = "The target address is not allowed"

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
_resolvers = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolver")


class Exchange(threading.local):
    """The deadline and rule of the exchange that this thread is carrying out."""

    deadline: Deadline
    rule: TargetRule


exchange = Exchange()


@contextlib.contextmanager
def carry_out(deadline: Deadline, rule: TargetRule) -> Iterator[None]:
    exchange.deadline, exchange.rule = deadline, rule
    try:
        yield
    finally:
        del exchange.deadline, exchange.rule


class StrictResponse(http.client.HTTPResponse):
    """Refuses a negative chunk size, which the standard library takes for "everything there is"."""

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
        infos = resolve(self._dns_host, self.port, exchange.deadline)
        judge([ipaddress.ip_address(info[4][0]) for info in infos], exchange.rule)
        return connect_to_one(infos, exchange.deadline, self.socket_options)

    def connect(self) -> None:
        super().connect()
        self.opened_at = time.monotonic()
        exchange.deadline.watch(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            if time.monotonic() - self.opened_at > CONNECTION_MAX_AGE_SECONDS:
                self.close()  # the request opens it again
            else:
                exchange.deadline.watch(self.sock)
        super().request(*args, **kwargs)


class GuardedHTTPSConnection(GuardedConnection, HTTPSConnection):
    """The same with TLS: the handshake takes the socket's time-out as its total."""


class GuardedPool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPSConnection


def resolve(host: str, port: int, deadline: Deadline) -> Sequence[AddressInfo]:
    """Every address of the name, within the deadline. Raises SendFailure."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    future: Future[Sequence[AddressInfo]] = _resolvers.submit(
        socket.getaddrinfo, host, port, type=socket.SOCK_STREAM
    )
    try:
        return future.result(deadline.remaining())
    except FutureTimeoutError:
        future.cancel()
        raise SendFailure(ErrorClass.TIMEOUT, "The look-up of the host name took too long") from None
    except (OSError, UnicodeError):
        raise SendFailure(ErrorClass.DNS, "The host name could not be resolved") from None


def judge(addresses: Sequence[IPAddress], rule: TargetRule) -> None:
    """One bad address among the answers is enough: a name that mixes them is an attack or a mistake."""
    if not addresses or not all(rule.allows_address(address) for address in addresses):
        raise SendFailure(ErrorClass.ADDRESS_NOT_ALLOWED, REFUSED)


def connect_to_one(infos: Sequence[AddressInfo], deadline: Deadline, options: Any) -> socket.socket:
    """A connection to the first address that takes one. Raises SendFailure."""
    failure = SendFailure(ErrorClass.NETWORK, "No connection could be made")
    for family, kind, protocol, _, sockaddr in infos:
        remaining = deadline.remaining()
        if remaining <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(remaining)
            sock.connect(sockaddr)
        except OSError as error:
            sock.close()
            failure = _connect_failure(error)
        else:
            sock.settimeout(max(0.001, deadline.remaining()))
            return sock
    if deadline.remaining() <= 0:
        raise SendFailure(ErrorClass.TIMEOUT, "Connecting took too long")
    raise failure


def _connect_failure(error: OSError) -> SendFailure:
    if isinstance(error, TimeoutError):
        return SendFailure(ErrorClass.TIMEOUT, "Connecting took too long")
    if isinstance(error, ConnectionRefusedError):
        return SendFailure(ErrorClass.CONNECTION_REFUSED, "The connection was refused")
    return SendFailure(
        ErrorClass.NETWORK, f"No connection could be made ({error.strerror or 'network error'})"
    )
