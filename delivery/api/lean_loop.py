"""The short way on an event loop: no thread waits for an answer, and a batch of them wakes it up once."""

import asyncio
from collections import deque
from functools import partial

from delivery.api.ingest import Answer, Asked, ingest
from delivery.api.lean import PlainReport, Said


class Waiting:
    """The calls of one event loop that wait for their answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._answered: deque[tuple[asyncio.Future[Answer], Answer]] = deque()

    async def said(self, report: PlainReport) -> Said | None:
        """What the caller is told; None if that is for the ordinary way to say."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        note = partial(self._note, future)
        ingest().put(Asked(report.call.caller, note, report.event, tell=self._wake_up))
        return report.said(await future)

    def _note(self, future: "asyncio.Future[Answer]", answer: Answer) -> None:
        self._answered.append((future, answer))

    def _wake_up(self) -> None:
        self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        while self._answered:
            future, answer = self._answered.popleft()
            # A server may give a call up whose client has gone.
            if not future.done():
                future.set_result(answer)
