"""The thread that asks for the places of deliveries whose subscriptions have a rate limit.

It asks for all at hand in one round trip. Deliveries without a limit never come here: neither the store nor
this thread costs them anything.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from delivery import pace
from delivery.batches import Batches
from delivery.deliver import Again, Prepared
from delivery.loop.stages import Away, Job
from delivery.recorder import Postponed
from subscriptions import paces

PACES_MAX = 64
# Of an organization's in one process: waiting takes places, of which there are 512. The others come back.
WAITING_MAX = 128


class Asking(NamedTuple):
    """A delivery to a subscription with this limit."""

    job: Job
    prepared: Prepared
    per_second: float


class Pacing:
    """`send_after` gets what has a place, with the seconds until then; `give_back` all others."""

    def __init__(
        self,
        send_after: Callable[[Job, Prepared, float], object],
        give_back: Callable[[Away], object],
        finish: Callable[[Job, Again | Exception | None], None],
    ) -> None:
        self._send_after = send_after
        self._give_back = give_back
        self._finish = finish
        self._waiting: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._batches = Batches("paces", self._reserve, most=PACES_MAX)
        self.start, self.stop = self._batches.start, self._batches.stop

    def unlimited(self, ready: Sequence[tuple[Job, Prepared]]) -> list[tuple[Job, Prepared]]:
        """Those that may go now; the others ask for a place first."""
        free = []
        for job, prepared in ready:
            if (limit := prepared.receiver.rate_limit_per_second) is None:
                free.append((job, prepared))
            else:
                self._batches.put(Asking(job, prepared, limit))
        return free

    def waited(self, prepared: Prepared) -> None:
        """A wait that `send_after` was told of is over."""
        organization = prepared.claimed.organization_id
        with self._lock:
            self._waiting[organization] -= 1
            if not self._waiting[organization]:
                del self._waiting[organization]

    def _reserve(self, asking: list[Asking]) -> None:
        try:
            reserved = paces.reserve(self._wishes(asking))
        except Exception as error:  # noqa: BLE001 - Celery logs it as the tasks' failure
            for one in asking:
                self._finish(one.job, error)
            return
        for one, got in zip(asking, reserved, strict=True):
            try:
                seconds = pace.wait_seconds(one.prepared.claimed, got)
            except Exception as error:  # noqa: BLE001 - Celery logs it as the task's failure
                self._finish(one.job, error)
            else:
                self._pass_on(one, seconds)

    def _pass_on(self, one: Asking, seconds: float) -> None:
        claimed = one.prepared.claimed
        if seconds < 0:
            self._give_back(Away(one.job, Postponed(claimed, pace.RATE_LIMITED, -seconds)))
            return
        with self._lock:
            self._waiting[claimed.organization_id] += 1
        self._send_after(one.job, one.prepared, seconds)

    def _wishes(self, asking: Sequence[Asking]) -> list[paces.Wish]:
        with self._lock:
            waiting = Counter(self._waiting)
        wishes = []
        for _, prepared, per_second in asking:
            claimed = prepared.claimed
            may_wait = waiting[claimed.organization_id] < WAITING_MAX
            wishes.append(pace.wish_of(claimed, per_second, may_wait=may_wait))
            waiting[claimed.organization_id] += 1
        return wishes
