"""The world of the sender under a test's control: who connects where, and what names resolve to."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

_watchers: list[list[tuple[str, int]]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Python calls it before any socket of the process connects; an error keeps it from doing so."""
    if event != "socket.connect" or not _watchers:
        return
    _, target = arguments
    if not isinstance(target, tuple):
        return  # a Unix socket
    for watcher in _watchers:
        watcher.append((target[0], target[1]))
    if not ip_address(target[0]).is_loopback:
        raise OSError("a test does not leave the machine")


sys.addaudithook(_hook)


@contextmanager
def connects() -> Iterator[list[tuple[str, int]]]:
    """Where sockets of this process tried to go meanwhile; beyond loopback they do not come."""
    seen: list[tuple[str, int]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


class Resolver:
    """Stands where getaddrinfo is for `*.example` and `*.internal`; numbers are resolved as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = socket.getaddrinfo
        self._answers: list[tuple[str, ...]] = []
        self.asked: list[str] = []
        monkeypatch.setattr(socket, "getaddrinfo", self._getaddrinfo)

    def says(self, *addresses: str) -> None:
        """From now on, after what it was told to say before; the last answer stays."""
        self._answers.append(addresses)

    def _getaddrinfo(self, host: str, port: int | None, *args: Any, **kwargs: Any) -> list[Any]:
        if not host.lower().rstrip(".").endswith((".example", ".internal")):
            return self._real(host, port, *args, **kwargs)
        self.asked.append(host)
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [info for text in addresses for info in self._of(text, port)]

    def _of(self, text: str, port: int | None) -> list[Any]:
        """As the resolver gives it: the zone as a number beside the text."""
        bare, _, zone = text.partition("%")
        infos = self._real(bare, port, type=socket.SOCK_STREAM)
        if not zone:
            return infos
        return [(*info[:4], (*info[4][:3], int(zone))) for info in infos]
