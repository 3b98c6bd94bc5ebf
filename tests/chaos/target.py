"""The receiver: a server on loopback whose paths change their mood, and that records every request.

Each path is a receiver of its own. Its mood is a pure function of seed, path and time, until it is
told to calm down. An answer is written only while the sender still listens, and never near the end
of the sender's patience, so "accepted" means the same to both.
"""

import asyncio
import bisect
import hashlib
import random
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from functools import cache
from typing import Self

from tests.chaos.records import Peer, Request

MOOD_SECONDS = (2.0, 6.0)
SLOW_SECONDS = (0.1, 0.6)
HANG_SECONDS = 20.0
LOOK_SECONDS = 0.05
MOODS_HORIZON_SECONDS = 3600.0


class Mood(StrEnum):
    """How a path answers."""

    HEALTHY = "healthy"
    SLOW = "slow"
    FAILING = "failing"
    HANGING = "hanging"
    RESETTING = "resetting"
    GONE = "gone"


WEIGHTS = {Mood.HEALTHY: 10, Mood.SLOW: 4, Mood.FAILING: 3, Mood.HANGING: 2, Mood.RESETTING: 2}
# Paths that begin so do not change.
FIXED = {"/never": Mood.FAILING, "/steady": Mood.HEALTHY, "/gone": Mood.GONE}
FAILURES = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
)
ACCEPTANCES = (
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
)
GONE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
# A reset in mid-answer: the status says yes, the promised body never comes.
RESET = struct.pack("ii", 1, 0)
HALVES = (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it", b"HTTP/1.1 20")


@cache
def _moods(seed: int, path: str) -> tuple[list[float], list[Mood]]:
    """The ends of the path's moods, and the moods."""
    dice = random.Random(f"{seed} {path}")
    ends, moods = [0.0], [Mood.HEALTHY]
    while ends[-1] < MOODS_HORIZON_SECONDS:
        ends.append(ends[-1] + dice.uniform(*MOOD_SECONDS))
        moods.extend(dice.choices(list(WEIGHTS), list(WEIGHTS.values())))
    return ends, moods


def mood_at(seed: int, path: str, second: float) -> Mood:
    """The mood of a path so many seconds after the start."""
    for beginning, fixed in FIXED.items():
        if path.startswith(beginning):
            return fixed
    ends, moods = _moods(seed, path)
    return moods[min(bisect.bisect_right(ends, second), len(moods) - 1)]


class Target:
    """`with Target(seed) as target:`; serves on a thread of its own."""

    def __init__(self, seed: int) -> None:
        self.requests: list[Request] = []
        self.port = 0
        self._peers: dict[int, Peer] = {}
        self._seed = seed
        self._began = time.monotonic()
        self._calm = False
        self._dice = random.Random(f"{seed} answers")
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="chaos-target", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def begin(self) -> None:
        """Moods count from now."""
        self._began = time.monotonic()

    def calm_down(self) -> None:
        """From now on every path is healthy but those whose mood is fixed."""
        self._calm = True

    def name_peers(self, workers: Mapping[int, str]) -> None:
        """Port of an open connection -> the worker that holds it."""
        for port, worker in workers.items():
            peer = self._peers.get(port)
            if peer is not None:
                peer.worker = worker

    def _mood(self, path: str) -> Mood:
        if self._calm and not path.startswith(tuple(FIXED)):
            return Mood.HEALTHY
        return mood_at(self._seed, path, time.monotonic() - self._began)

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(port=writer.get_extra_info("peername")[1])
        self._peers[peer.port] = peer
        with suppress(OSError, asyncio.IncompleteReadError):
            while await self._exchange(peer, reader, writer):
                pass
        if self._peers.get(peer.port) is peer:
            del self._peers[peer.port]
        writer.transport.abort()

    async def _exchange(self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False if the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in head[1:])}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = head[0].split(" ")[1]
        request = Request(
            path=path,
            webhook_id=headers.get("webhook-id", ""),
            timestamp=headers.get("webhook-timestamp", ""),
            signature=headers.get("webhook-signature", ""),
            body_sha256=hashlib.sha256(body).hexdigest(),
            at=time.time(),
            mood=(mood := self._mood(path)),
            peer=peer,
        )
        self.requests.append(request)
        try:
            return await self._answer(request, mood, reader, writer)
        finally:
            request.ended = time.time()

    async def _answer(
        self, request: Request, mood: Mood, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if mood is Mood.HANGING:
            await self._wait(HANG_SECONDS, reader)
            return False
        if mood is Mood.RESETTING:
            writer.write(self._dice.choice(HALVES))
            # Without lingering, the end of the connection is a reset.
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        if mood is Mood.SLOW:
            await self._wait(self._dice.uniform(*SLOW_SECONDS), reader)
        if reader.at_eof():
            return False
        answer = {Mood.FAILING: self._dice.choice(FAILURES), Mood.GONE: GONE}.get(mood)
        answer = answer or self._dice.choice(ACCEPTANCES)
        request.status = int(answer[9:12])
        writer.write(answer)
        await writer.drain()
        transport = writer.transport
        request.complete = not transport.is_closing() and transport.get_write_buffer_size() == 0
        return request.complete

    async def _wait(self, seconds: float, reader: asyncio.StreamReader) -> None:
        """Let time pass while the sender listens."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0 and not reader.at_eof():
            await asyncio.sleep(min(LOOK_SECONDS, left))
