"""Receivers that keep timing out: into the slow lane, and back as soon as they answer.

Each request to a receiver that hangs holds a place until its time-out. After a few time-outs in a row
the receiver (scheme, host and port) counts as slow: it gets few places, and what finds none is put
aside at once, into the lane `slow`, one after the other as those places come free. So one of its
deliveries is tried every few seconds. The first that does not time out ends it, and what was put aside
goes out again. It is slow for an organization: another one with a path of its own at the same host
must not be slowed, and learns it by itself if all of the host hangs.

This process's threads note what they see in memory: an answer of a healthy receiver costs two look-ups
in a dictionary and no statement. A thread of the worker tells the database each second, and reads
there what the others have seen. A receiver that refuses connections or answers with errors is not
slow: it holds no place.
"""

import threading
import time
from collections import Counter
from functools import lru_cache

from django.conf import settings

from delivery import slow_rows
from delivery.recorder import Outcome
from delivery.states import ErrorClass
from subscriptions.addresses import origin_of
from subscriptions.plain_urls import plain_origin

URLS_KEPT = 20_000
# Time-outs that led to nothing, of so many receivers, are remembered.
STREAKS_MAX = 10_000
# Others may put something aside until they, too, know that the receiver has recovered.
RELEASED_AGAIN_SECONDS = 5.0
# Nothing was asked of the receiver, so nothing is known of it.
NOT_ASKED = frozenset({ErrorClass.NOT_SENT, ErrorClass.LOOKUP_LIMIT, ErrorClass.ADDRESS_NOT_ALLOWED})

#: an organization's id, and scheme, host and port
Key = tuple[int, str]


@lru_cache(URLS_KEPT)
def receiver_of(url: str) -> str:
    """Scheme, host and port; what is no URL is one receiver, to which nothing is sent."""
    origin = plain_origin(url)
    return _receiver_at(origin) if origin else origin_of(url) or ""


@lru_cache(URLS_KEPT)
def _receiver_at(origin: str) -> str:
    return origin_of(origin) or ""


def key_of(organization_id: int, url: str) -> Key:
    return organization_id, receiver_of(url)


class SlowReceivers:
    """What this process knows of them. Safe to share between threads; times are monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slow: set[Key] = set()
        #: time-outs in a row, and when the first of them was
        self._streaks: dict[Key, tuple[float, int]] = {}
        #: time-outs of slow receivers that the database has not been told of
        self._timed_out: Counter[Key] = Counter()
        #: receivers that have recovered, of which it has not been told
        self._ended: set[Key] = set()
        self._recovered_at: dict[Key, float] = {}
        #: when the last delivery that was put aside for it may come back
        self._last_back: dict[Key, float] = {}

    def is_slow(self, receiver: Key) -> bool:
        return receiver in self._slow

    def answered(self, receiver: Key) -> None:
        if receiver not in self._streaks and receiver not in self._slow:
            return
        with self._lock:
            self._streaks.pop(receiver, None)
            self._timed_out.pop(receiver, None)
            if receiver in self._slow:
                self._slow.discard(receiver)
                self._ended.add(receiver)
                self._recovered(receiver, time.monotonic())

    def timed_out(self, receiver: Key, *, began: float) -> None:
        """A request that began before the receiver recovered says nothing of what it is now."""
        now = time.monotonic()
        with self._lock:
            if began < self._recovered_at.get(receiver, began):
                return
            first, count = self._streaks.get(receiver, (now, 0))
            if now - first > settings.DELIVERY_SLOW_PERIOD_SECONDS:
                first, count = now, 0
            self._streaks[receiver] = first, count + 1
            if receiver in self._slow:
                self._timed_out[receiver] += 1
            elif count + 1 >= settings.DELIVERY_SLOW_AFTER_TIMEOUTS:
                self._slow.add(receiver)
                self._timed_out[receiver] += count + 1

    def away_seconds(self, receiver: Key, each_seconds: float) -> float:
        """When the next one that is put aside may come back: `each_seconds` after the one before it."""
        now = time.monotonic()
        with self._lock:
            latest = now + settings.DELIVERY_SLOW_AWAY_MAX_SECONDS
            back = min(max(self._last_back.get(receiver, now), now) + each_seconds, latest)
            self._last_back[receiver] = back
        return back - now

    def sync(self) -> None:
        """Tell the database, learn from it, and let go what waits for receivers that have recovered.

        One statement while nothing changes.
        """
        with self._lock:
            timed_out, self._timed_out = self._timed_out, Counter()
            ended, self._ended = self._ended, set()
        try:
            known = slow_rows.exchange(timed_out, ended)
        except Exception:
            with self._lock:
                self._timed_out.update(timed_out)
                self._ended |= ended
            raise
        for receiver in self._learn(known):
            slow_rows.release(*receiver)

    def _learn(self, known: set[Key]) -> list[Key]:
        """Take over what the database knows; the receivers that have recovered a moment ago."""
        now = time.monotonic()
        with self._lock:
            before, self._slow = self._slow, (known | set(self._timed_out)) - self._ended
            for receiver in before - self._slow:
                self._streaks.pop(receiver, None)
                self._recovered(receiver, now)
            period = settings.DELIVERY_SLOW_PERIOD_SECONDS
            self._recovered_at = {one: at for one, at in self._recovered_at.items() if now - at < period}
            if len(self._streaks) > STREAKS_MAX:
                self._streaks = {one: of for one, of in self._streaks.items() if now - of[0] < period}
            recovered = self._recovered_at.items()
            return [one for one, at in recovered if now - at < RELEASED_AGAIN_SECONDS]

    def _recovered(self, receiver: Key, now: float) -> None:
        self._recovered_at[receiver] = now
        self._last_back.pop(receiver, None)


_receivers = SlowReceivers()


def receivers() -> SlowReceivers:
    """Those of this process."""
    return _receivers


def note(outcome: Outcome) -> None:
    """What the outcome of a request says of its receiver."""
    if outcome.error_class in NOT_ASKED:
        return
    receiver = key_of(outcome.claimed.organization_id, outcome.url)
    if outcome.error_class == ErrorClass.TIMEOUT:
        began = time.monotonic() - (outcome.duration_ms or 0.0) / 1000
        receivers().timed_out(receiver, began=began)
    else:
        receivers().answered(receiver)
