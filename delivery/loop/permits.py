"""How many requests a receiver, and all receivers of an organization, may have open at once.

A receiver that hangs holds each request until its time-out. Without a bound a few hundred of them would
fill all places of a worker, and every other receiver would wait for them. Lives on one event loop.

The limits are over all worker processes. Asking them per request would cost each a round trip, so each
process takes its share: the limit divided by the workers that live, rounded up, at least 1. Together they
have open at most limit + workers - 1 (128 among 3: 43 each, 129), or as many as there are workers if those
are more than the limit. A limit shared by workers of which only some have anything to send to a receiver
is not used up: a share is no loan. Workers are counted each 5 s: so long a new one has its share while the
others have not given theirs up, and one that was killed keeps its share until it counts as silent (30 s).
While the database cannot be asked the last count stays.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

# Whoever gets no place so soon gives the delivery back: a quick receiver frees one in milliseconds.
SOON_SECONDS = 0.5
# A receiver that has recovered is not made to wait for what was given back before.
AWAY_MAX_SECONDS = 30.0
# How much the latest request says of how long the next one will hold its place.
NEWEST_COUNTS = 0.2


@dataclass
class Line:
    """This process's places of one receiver or organization, and who waits for one."""

    #: over all worker processes
    limit: int
    workers: int = 1
    taken: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    #: when, in monotonic seconds, the last of those who were sent away may come back
    last_back: float = 0.0
    #: how long requests have held their places lately; None: none has ended yet
    held_seconds: float | None = None

    @property
    def places(self) -> int:
        return max(1, -(-self.limit // self.workers))

    @property
    def is_idle(self) -> bool:
        return not self.taken and not self.waiting and self.last_back <= time.monotonic()

    async def take(self, seconds: float) -> bool:
        """A place, waited for that long at the most."""
        if self.taken < self.places:
            self.taken += 1
            return True
        if not seconds:
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await asyncio.wait([turn], timeout=seconds)
        if turn.done():
            return True  # the place was handed over
        turn.cancel()
        return False

    def give_back(self, held_seconds: float | None = None) -> None:
        """`held_seconds`: how long a request took; None: there was none."""
        if held_seconds is not None:
            before = held_seconds if self.held_seconds is None else self.held_seconds
            self.held_seconds = before + NEWEST_COUNTS * (held_seconds - before)
        self.taken -= 1
        self._hand_over()

    def share_among(self, workers: int) -> None:
        """More places serve those who wait at once; fewer are kept as soon as enough have come back."""
        self.workers = workers
        self._hand_over()

    def _hand_over(self) -> None:
        while self.waiting and self.taken < self.places:
            turn = self.waiting.popleft()
            if not turn.done():
                self.taken += 1
                turn.set_result(None)

    def away_seconds(self, request_seconds: float) -> float:
        """When to come back: one after the other, as places come free.

        That is as fast as requests have ended lately. Until one has, each may take its whole time-out.
        """
        now = time.monotonic()
        each = (request_seconds if self.held_seconds is None else self.held_seconds) / self.places
        self.last_back = min(max(self.last_back, now + SOON_SECONDS) + each, now + AWAY_MAX_SECONDS)
        return self.last_back - now


class Permits:
    """The lines of all receivers and organizations that have requests open, or had them a moment ago."""

    def __init__(
        self, *, per_receiver: int, per_organization: int, per_slow_receiver: int = 2, slow: int = 64
    ) -> None:
        """`slow` is of this process alone: so many requests to all slow receivers together."""
        self._per_receiver = per_receiver
        self._per_organization = per_organization
        self._per_slow_receiver = per_slow_receiver
        self._all_slow = Line(slow)
        self._workers = 1
        self._lines: dict[str | int, Line] = {}

    def share_among(self, workers: int) -> None:
        """So many worker processes live; this one is among them, even if its own row is not there."""
        self._workers = max(1, workers)
        for line in self._lines.values():
            line.share_among(self._workers)

    def lines(self, *, receiver: str, organization_id: int, is_slow: bool = False) -> Sequence[Line]:
        """Those that a request has to pass, the narrower first."""
        if len(self._lines) > 10_000:
            self._lines = {key: line for key, line in self._lines.items() if not line.is_idle}
        organization = self._line(organization_id, self._per_organization)
        if is_slow:
            line = self._line(f"slow {organization_id} {receiver}", self._per_slow_receiver)
            return line, self._all_slow, organization
        return self._line(receiver, self._per_receiver), organization

    def _line(self, key: str | int, limit: int) -> Line:
        if key not in self._lines:
            self._lines[key] = Line(limit, self._workers)
        return self._lines[key]


async def take_all(lines: Sequence[Line], seconds: float = SOON_SECONDS) -> Line | None:
    """A place in each of them, or in none: then the one that had none left."""
    held: list[Line] = []
    for line in lines:
        if not await line.take(seconds):
            give_back_all(held)
            return line
        held.append(line)
    return None


def give_back_all(lines: Sequence[Line], held_seconds: float | None = None) -> None:
    for line in lines:
        line.give_back(held_seconds)
