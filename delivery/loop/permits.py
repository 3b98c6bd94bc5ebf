"""How many requests a receiver, and all receivers of an organization, may have open at once in this process.

A receiver that hangs holds each request until its time-out. Without a bound a few hundred of them would
fill all places of a worker, and every other receiver would wait for them. Lives on one event loop.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# Whoever gets no place so soon gives the delivery back: a quick receiver frees one in milliseconds.
SOON_SECONDS = 0.5
# A receiver that has recovered is not made to wait for what was given back before.
AWAY_MAX_SECONDS = 30.0


@dataclass
class Line:
    """The places of one receiver or organization, and who waits for one."""

    places: int
    taken: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    #: when, in monotonic seconds, the last of those who were sent away may come back
    last_back: float = 0.0

    @property
    def is_idle(self) -> bool:
        return not self.taken and not self.waiting and self.last_back <= time.monotonic()

    async def take(self, seconds: float) -> bool:
        """A place, waited for that long at the most."""
        if self.taken < self.places:
            self.taken += 1
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await asyncio.wait([turn], timeout=seconds)
        if turn.done():
            return True  # the place was handed over
        turn.cancel()
        return False

    def give_back(self) -> None:
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.taken -= 1

    def away_seconds(self, request_seconds: float) -> float:
        """When to come back: one after the other, as places come free if each request takes that long."""
        now = time.monotonic()
        each = request_seconds / self.places
        self.last_back = min(max(self.last_back, now + SOON_SECONDS) + each, now + AWAY_MAX_SECONDS)
        return self.last_back - now


class Permits:
    """The lines of all receivers and organizations that have requests open, or had them a moment ago."""

    def __init__(self, *, per_receiver: int, per_organization: int) -> None:
        self._per_receiver = per_receiver
        self._per_organization = per_organization
        self._lines: dict[str | int, Line] = {}

    def lines(self, *, url: str, organization_id: int) -> Sequence[Line]:
        """Those that a request has to pass, the narrower first."""
        if len(self._lines) > 10_000:
            self._lines = {key: line for key, line in self._lines.items() if not line.is_idle}
        parts = urlsplit(url)
        return (
            self._line(f"{parts.scheme}://{parts.netloc}".lower(), self._per_receiver),
            self._line(organization_id, self._per_organization),
        )

    def _line(self, key: str | int, places: int) -> Line:
        if key not in self._lines:
            self._lines[key] = Line(places)
        return self._lines[key]


async def take_all(lines: Sequence[Line]) -> Line | None:
    """A place in each of them, or in none: then the one that had none left."""
    held: list[Line] = []
    for line in lines:
        if not await line.take(SOON_SECONDS):
            give_back_all(held)
            return line
        held.append(line)
    return None


def give_back_all(lines: Sequence[Line]) -> None:
    for line in lines:
        line.give_back()
