"""The look-ups of the sender on an event loop: the same limits and errors, without a thread that waits.

There would be a limit to such threads, too, and the names of one organization could take them all.
"""

import asyncio
import time
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from weakref import WeakValueDictionary

from delivery.sender.deadline import Deadline
from delivery.sender.lookups import LOOKUPS_MAX, as_failures, begin, no_place
from subscriptions.addresses import IPAddress


class LoopLookups:
    """Lives on one event loop."""

    def __init__(self, *, timeout_seconds: float, per_organization: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._per_organization = per_organization
        self._places = asyncio.Semaphore(LOOKUPS_MAX)
        # Of an organization while one of its look-ups runs or waits.
        self._places_of: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    async def addresses(self, host: str, *, organization_id: int, deadline: Deadline) -> list[IPAddress]:
        """Every address of the name, in the resolver's order. Raises SendFailure."""
        ends = time.monotonic() + min(self._timeout_seconds, deadline.remaining())
        own = self._places_of.get(organization_id)
        if own is None:
            own = self._places_of[organization_id] = asyncio.Semaphore(self._per_organization)
        try:
            async with asyncio.timeout(ends - time.monotonic()):
                await self._take_place(own)
        except TimeoutError:
            raise no_place() from None
        loop = asyncio.get_running_loop()

        def ended() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(partial(self._give_back, own))

        future: Future[list[IPAddress]] = begin(host, ended)
        with as_failures():
            async with asyncio.timeout(ends - time.monotonic()):
                return await asyncio.wrap_future(future)

    async def _take_place(self, own: asyncio.Semaphore) -> None:
        """The organization's first: those that wait for it hold up nobody else."""
        await own.acquire()
        try:
            await self._places.acquire()
        except BaseException:
            own.release()
            raise

    def _give_back(self, own: asyncio.Semaphore) -> None:
        self._places.release()
        own.release()
