"""From message to committed outcome, many deliveries at a time.

    claim thread            event loop             record thread
    one statement    ─►     a request each   ─►    one commit for all that ended meanwhile   ─► finish

The stages are those of `delivery/deliver.py`; only the number per statement differs. An outcome that
cannot be recorded in a batch is tried alone, so one that breaks takes no other with it. Whatever
happens, each job is finished once: an unfinished one would keep its place in the worker for ever.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import connection

from delivery import deliver
from delivery.batches import Batches
from delivery.claim import Claimed, claim_many
from delivery.database import DATABASE_AWAY, OwnConnection, close_connection, on_live_connection
from delivery.deliver import Again, Prepared
from delivery.loop.pacing import Pacing
from delivery.loop.permits import SOON_SECONDS, Line, Permits, give_back_all, take_all
from delivery.loop.recording import Recording
from delivery.loop.stages import (
    BY_KEY_ONLY,
    FORGETFUL,
    Away,
    Ended,
    Job,
)
from delivery.pace import RATE_LIMITED
from delivery.recorder import Postponed, postpone_many
from delivery.sender import Answer, NoAnswer
from delivery.sender.loop import LoopTransport
from delivery.short_waits import ShortWaits
from delivery.slow import receiver_of
from subscriptions import cache

logger = logging.getLogger(__name__)

# A claim of 64 rows takes about 3 ms: longer batches would only delay the first request.
CLAIMS_MAX = 64

AWAYS_MAX = 256
# Why a delivery waits that was claimed and given back unsent.
RECEIVER_BUSY = "receiver_busy"
REASONS = (RECEIVER_BUSY, deliver.RECEIVER_SLOW, RATE_LIMITED, deliver.CLAIM_LATE)


class Engine:
    """Makes the attempts that it is given. `submit` may be called from any thread."""

    def __init__(
        self, new_transport: Callable[[], LoopTransport], short_waits: ShortWaits, permits: Permits
    ) -> None:
        self._new_transport = new_transport
        self._permits = permits
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="sender-loop", daemon=True)
        self._claims = Batches("claims", self._claim, most=CLAIMS_MAX, leave=close_connection)
        self._records = Recording(short_waits, self._finish)
        self._aways = Batches("aways", self._give_back, most=AWAYS_MAX, leave=close_connection)
        self._pacing = Pacing(self._send_after, self._aways.put, self._finish)
        self._claim_connection = OwnConnection(f"{BY_KEY_ONLY}; {FORGETFUL}")
        self._away_connection = OwnConnection(BY_KEY_ONLY)
        self._sending: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        #: unsent, by reason
        self.given_back = dict.fromkeys(REASONS, 0)
        self._idle = threading.Condition()

    def start(self) -> None:
        self._thread.start()
        self._claims.start()
        self._pacing.start()
        self._records.start()
        self._aways.start()

    def submit(self, job: Job) -> None:
        with self._idle:
            self._in_flight += 1
        self._claims.put(job)

    def share_among(self, workers: int) -> None:
        """So many worker processes share the limits of requests from now on. Any thread may say so."""
        self._loop.call_soon_threadsafe(self._permits.share_among, workers)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def stop(self, seconds: float) -> bool:
        """Let what is under way end; False if it takes longer than that."""
        with self._idle:
            done = self._idle.wait_for(lambda: self._in_flight == 0, seconds)
        self._claims.stop(1.0)
        self._pacing.stop(1.0)
        self._records.stop(1.0)
        self._aways.stop(1.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)
        return done

    def _finish(self, job: Job, result: Again | Exception | None) -> None:
        try:
            job.finish(result)
        finally:
            with self._idle:
                self._in_flight -= 1
                if not self._in_flight:
                    self._idle.notify_all()

    # --- the claim thread

    def _claim(self, jobs: list[Job]) -> None:
        waiting: dict[tuple[UUID, int], Job] = {}
        for job in jobs:
            key = (job.delivery_id, job.attempt)
            if key in waiting:
                self._finish(job, None)  # the same message twice
            else:
                waiting[key] = job
        try:
            claimed_at, claimed = on_live_connection(lambda: self._claim_rows(waiting))
        except DATABASE_AWAY as error:
            # The requeuer wakes them up again.
            logger.warning("left to the requeuer: database away deliveries=%d error=%s", len(waiting), error)
            connection.close()
            claimed_at, claimed = 0.0, []
        except Exception as error:  # noqa: BLE001 - Celery logs it as the tasks' failure
            for job in waiting.values():
                self._finish(job, error)
            return
        ready: list[tuple[Job, Prepared]] = []
        for row in claimed:
            job = waiting.pop((row.id, row.attempt))
            if (prepared := self._prepare(job, row, claimed_at)) is not None:
                ready.append((job, prepared))
        for job in waiting.values():
            self._finish(job, None)
        if free := self._pacing.unlimited(ready):
            self._loop.call_soon_threadsafe(self._send_all, free)

    def _claim_rows(self, waiting: dict[tuple[UUID, int], Job]) -> tuple[float, list[Claimed]]:
        self._claim_connection.ready()
        claimed_at = time.monotonic()
        claimed = claim_many(waiting)
        with suppress(*DATABASE_AWAY):  # then each is read, or not, when it is prepared
            cache.warm({c.subscription_id: c.subscription_version or 0 for c in claimed if c.subscription_id})
        return claimed_at, claimed

    def _prepare(self, job: Job, claimed: Claimed, claimed_at: float) -> Prepared | None:
        try:
            prepared = deliver.prepare(claimed, claimed_at=claimed_at)
        except DATABASE_AWAY as error:
            logger.warning("left to the requeuer: database away delivery=%s error=%s", claimed.id, error)
            prepared = None
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(job, error)
            return None
        if prepared is None:
            self._finish(job, None)
        return prepared

    # --- the event loop

    def _run_loop(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._transport = self._new_transport()
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._transport.close())
        finally:
            self._loop.close()

    def _send_all(self, ready: Sequence[tuple[Job, Prepared]]) -> None:
        for job, prepared in ready:
            self._begin(self._send(job, prepared))

    def _begin(self, sending: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(sending)
        self._sending.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._sending.discard)

    def _send_after(self, job: Job, prepared: Prepared, seconds: float) -> None:
        """Any thread may say so."""
        self._loop.call_soon_threadsafe(lambda: self._begin(self._send_in_turn(job, prepared, seconds)))

    async def _send_in_turn(self, job: Job, prepared: Prepared, seconds: float) -> None:
        """At the moment that its subscription's rate limit leaves for it."""
        try:
            await asyncio.sleep(seconds)
            self._pacing.waited(prepared)
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(job, error)
            return
        await self._send(job, prepared)

    async def _send(self, job: Job, prepared: Prepared) -> None:
        try:
            lines, postponed = await self._places(prepared)
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(job, error)
            return
        if postponed is not None:
            self._aways.put(Away(job, postponed))
            return
        began = time.monotonic()
        try:
            result: Answer | NoAnswer = await self._transport.send(prepared.request)
        except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
            self._finish(job, error)
        else:
            self._records.put(Ended(job, prepared, result))
        finally:
            give_back_all(lines, time.monotonic() - began)

    async def _places(self, prepared: Prepared) -> tuple[Sequence[Line], Postponed | None]:
        """Taken, unless it says until when to put the delivery off."""
        if (late := deliver.given_up(prepared)) is not None:
            return (), late
        request = prepared.request
        receiver, is_slow = receiver_of(request.url), deliver.is_slow(prepared)
        lines = self._permits.lines(
            receiver=receiver, organization_id=request.organization_id, is_slow=is_slow
        )
        full = await take_all(lines, 0 if is_slow else SOON_SECONDS)
        if full is None:
            return lines, None
        if is_slow:
            return lines, deliver.put_aside(prepared, places=lines[0].places)
        seconds = full.away_seconds(request.timeout_seconds)
        return lines, Postponed(prepared.claimed, RECEIVER_BUSY, seconds)

    # --- the thread of those that found no place

    def _give_back(self, aways: list[Away]) -> None:
        try:
            on_live_connection(lambda: self._postpone_rows(aways))
            for away in aways:
                self.given_back[away.postponed.reason] += 1
        except DATABASE_AWAY as error:
            logger.warning("left to their leases: database away deliveries=%d error=%s", len(aways), error)
            connection.close()
        finally:
            for away in aways:
                self._finish(away.job, None)

    def _postpone_rows(self, aways: list[Away]) -> None:
        self._away_connection.ready()
        postpone_many([away.postponed for away in aways])
