"""Looks names up with a time-out, and with a share of the places for each organization.

getaddrinfo knows no time-out, so it runs on a thread of its own that can be left behind; it keeps
its place until it comes back. One organization whose names hang thus fills its own share only.
"""

import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from delivery.sender.deadline import Deadline
from delivery.sender.result import SendFailure
from delivery.states import ErrorClass
from subscriptions.addresses import IPAddress

# Of all organizations of a process: what a hanging look-up costs is a thread that waits.
LOOKUPS_MAX = 256

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


class Lookups:
    """Safe to share between threads."""

    def __init__(self, *, timeout_seconds: float, per_organization: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._per_organization = per_organization
        self._running: Counter[int] = Counter()
        self._changed = threading.Condition()

    def addresses(self, host: str, *, organization_id: int, deadline: Deadline) -> list[IPAddress]:
        """Every address of the name, in the resolver's order. Raises SendFailure."""
        ends = time.monotonic() + min(self._timeout_seconds, deadline.remaining())
        self._take_place(organization_id, ends)
        future = begin(host, lambda: self._give_back(organization_id))
        with as_failures():
            return future.result(max(0.0, ends - time.monotonic()))

    def _take_place(self, organization_id: int, ends: float) -> None:
        def is_free() -> bool:
            return (
                self._running[organization_id] < self._per_organization
                and self._running.total() < LOOKUPS_MAX
            )

        with self._changed:
            if not self._changed.wait_for(is_free, max(0.0, ends - time.monotonic())):
                raise no_place()
            self._running[organization_id] += 1

    def _give_back(self, organization_id: int) -> None:
        with self._changed:
            self._running[organization_id] -= 1
            if not self._running[organization_id]:
                del self._running[organization_id]
            self._changed.notify_all()


def begin(host: str, ended: Callable[[], None]) -> Future[list[IPAddress]]:
    """Calls `ended` in any case, on the thread of the look-up once there is one. Raises SendFailure."""
    future: Future[list[IPAddress]] = Future()
    future.set_running_or_notify_cancel()  # whoever leaves it behind cannot end it

    def look_up() -> None:
        try:
            future.set_result(_distinct(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)))
        except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
            future.set_exception(error)
        finally:
            ended()

    try:
        threading.Thread(target=look_up, name="resolver", daemon=True).start()
    except RuntimeError:  # no more threads
        ended()
        raise SendFailure(ErrorClass.NOT_SENT, "The host name could not be looked up") from None
    return future


@contextmanager
def as_failures() -> Iterator[None]:
    """What waiting for a look-up raises, as what the attempt says of it."""
    try:
        yield
    except TimeoutError:
        raise SendFailure(ErrorClass.TIMEOUT, "The look-up of the host name took too long") from None
    except (OSError, UnicodeError, ValueError):
        raise SendFailure(ErrorClass.DNS, "The host name could not be resolved") from None


def no_place() -> SendFailure:
    return SendFailure(ErrorClass.LOOKUP_LIMIT, "Too many host names were being looked up at the same time")


def _distinct(infos: Iterable[AddressInfo]) -> list[IPAddress]:
    found: dict[IPAddress, None] = {}
    for _, _, _, _, sockaddr in infos:
        found[_address(sockaddr)] = None
    return list(found)


def _address(sockaddr: Any) -> IPAddress:
    """The address of a socket, with its zone, which the text does not always say."""
    text = str(sockaddr[0])
    zone = sockaddr[3] if len(sockaddr) == 4 else 0
    return ipaddress.ip_address(f"{text}%{zone}" if zone and "%" not in text else text)
