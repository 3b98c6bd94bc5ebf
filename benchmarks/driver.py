"""A caller of the API that costs little, in a process of its own: `python -m benchmarks.driver`.

Reads a job as JSON from standard input, plays it over kept-alive connections and prints what it saw as
JSON. A job has `stories`: lists of calls that follow each other on one connection. Story number n is
`stories[n % len(stories)]`, so a mix is a list, repeated. `{id}` in a later call stands for the `id` in the
answer to the story's first call. Without `rate` each connection calls as fast as it is answered; with it
stories begin at their times whatever the answers do (an open loop), and one that finds no free
connection waits for one, which counts as part of its time.
"""

import asyncio
import json
import re
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

EVENT_ID = re.compile(rb'"event_id": ?"([^"]+)"')
ID = re.compile(rb'"id": ?"([^"]+)"')


@dataclass
class Job:
    """What to call, how often, how fast."""

    port: int
    headers: dict[str, str]
    stories: list[list[tuple[str, str, str]]]
    """Method, path and body of each call."""
    count: int
    connections: int = 32
    rate: float | None = None
    limit_seconds: float = 120.0

    def requests(self, story: list[tuple[str, str, str]]) -> list[tuple[bytes, bytes]]:
        """Head, without the length of the body, and body of each call, before the clock runs."""
        named = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        common = f"Host: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n{named}"
        return [
            (f"{method} {path} HTTP/1.1\r\n{common}".encode(), body.encode()) for method, path, body in story
        ]


def joined(head: bytes, body: bytes) -> bytes:
    return b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body)


@dataclass
class Seen:
    """What came of it. Times are the machine's monotonic clock."""

    calls: list[tuple[int, float, float, int]] = field(default_factory=list)
    """Story, sent, answered, status of each call."""
    ids: list[tuple[int, str, float]] = field(default_factory=list)
    """Story, event id and the time when its call was sent."""
    refused: str = ""
    """The first answer that was not a 2xx."""


class Connection(asyncio.Protocol):
    """Plays one story after another."""

    def __init__(self, driver: "Driver") -> None:
        self.driver = driver
        self.buffer = b""
        self.calls: list[tuple[bytes, bytes]] = []
        self.rendered: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.driver.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.driver.lost(self)

    def play(self, story: int, due: float | None) -> None:
        self.story, self.step, self.id = story, 0, b""
        self.calls, self.rendered = self.driver.stories[story % len(self.driver.stories)]
        self._send(due)

    def _send(self, due: float | None = None) -> None:
        request = self.rendered[self.step]
        if self.id:
            head, body = self.calls[self.step]
            request = joined(head.replace(b"{id}", self.id), body.replace(b"{id}", self.id))
        self.sent = due or time.monotonic()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.buffer = data
            return
        head = data[:end].lower()
        at = head.find(b"content-length:")
        if at >= 0 and len(data) < end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0]):
            self.buffer = data
            return
        self.buffer = b""
        self._answered(int(head[9:12]), data[end + 4 :])

    def _answered(self, status: int, body: bytes) -> None:
        seen = self.driver.seen
        seen.calls.append((self.story, self.sent, time.monotonic(), status))
        if 200 <= status < 300:
            seen.ids += [(self.story, id_.decode(), self.sent) for id_ in EVENT_ID.findall(body)]
        else:
            seen.refused = seen.refused or f"{status} {body[:300].decode(errors='replace')}"
        if self.step == 0 and len(self.calls) > 1 and (found := ID.search(body)):
            self.id = found[1]
        self.step += 1
        if self.step < len(self.calls):
            self._send()
        else:
            self.driver.free(self)


class Driver:
    """Hands stories to connections until all are told or the time is up."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seen = Seen()
        told = [job.requests(story) for story in job.stories]
        self.stories = [(calls, [joined(*call) for call in calls]) for calls in told]
        self.next = 0
        self.done = 0
        self.idle: deque[Connection] = deque()
        self.waiting: deque[tuple[int, float]] = deque()
        self.over = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.job.connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.job.port)
        if self.job.rate is None:
            for connection in list(self.idle):
                self.idle.remove(connection)
                self._begin(connection)
        else:
            self.began = loop.time()
            self._tick()
        try:
            await asyncio.wait_for(self.over.wait(), self.job.limit_seconds)
        except TimeoutError:
            self.seen.refused = (
                self.seen.refused or f"{self.job.count - self.done} calls had no answer in time"
            )

    def connected(self, connection: Connection) -> None:
        self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        if not self.over.is_set():
            self.seen.refused = self.seen.refused or "the API closed a connection"
            self.over.set()

    def free(self, connection: Connection) -> None:
        self.done += 1
        if self.done == self.job.count:
            self.over.set()
        elif self.job.rate is None:
            self._begin(connection)
        elif self.waiting:
            connection.play(*self.waiting.popleft())
        else:
            self.idle.append(connection)

    def _begin(self, connection: Connection) -> None:
        if self.next < self.job.count:
            self.next += 1
            connection.play(self.next - 1, None)

    def _tick(self) -> None:
        """Begin the story whose time has come, and set the clock for the next one."""
        loop = asyncio.get_running_loop()
        assert self.job.rate is not None
        due = self.began + self.next / self.job.rate
        if self.idle:
            self.idle.popleft().play(self.next, None)
        else:
            self.waiting.append((self.next, due))
        self.next += 1
        if self.next < self.job.count:
            loop.call_at(self.began + self.next / self.job.rate, self._tick)


def main() -> None:
    job = Job(**json.load(sys.stdin))
    driver = Driver(job)
    cpu_before = time.process_time()
    asyncio.run(driver.run())
    seen: dict[str, Any] = {
        "cpu_seconds": time.process_time() - cpu_before,
        "calls": driver.seen.calls,
        "ids": driver.seen.ids,
        "refused": driver.seen.refused,
    }
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
