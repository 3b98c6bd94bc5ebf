"""Requests to a subscription at its own rate: when the next one may go, counted over all workers.

Two moments are kept for each, as the other rate limits are (`rate_limits.py`). `sent` is GCRA's: when
the places that are taken will have been used up. Who finds its place soon waits for it. All others are
given a moment to come back at, one interval after the other, and `last` is the latest of these: so a
backlog comes back as fast as it may be sent, each once, in the order in which it was sent away, and
what is new does not overtake it. Replays have a `last` of their own, after that of all others.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from subscriptions.rate_limits import MICROSECONDS, OWN_BUCKETS_MAX, SharedStore

# So much of a second's requests may go at once, and one in any case: workers claim in batches, and nobody
# who counts per second sees the difference.
BURST_SECONDS = 0.1

# Keys: `sent`, `last` and the `last` that goes before it, of each that asks. Answers for each how many
# microseconds it has to wait for its place, which is then taken; or, below zero, after how many it is to
# come back.
RESERVE = """
local now = tonumber(ARGV[1])
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local function keep(key, moment)
    local milliseconds = math.max(1, math.ceil((moment - now) / 1000))
    redis.call('SET', key, string.format('%.0f', moment), 'PX', string.format('%.0f', milliseconds))
end
local function kept(key, otherwise)
    local moment = tonumber(redis.call('GET', key) or 0)
    return moment > now and moment or otherwise
end
local answer = {}
for i = 1, #KEYS / 3 do
    local sent_key, last_key, before_key = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
    local interval, ahead = tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
    local longest, is_back = tonumber(ARGV[4 * i]), ARGV[4 * i + 1] == '1'
    local sent = kept(sent_key, now)
    local last = math.max(kept(last_key, now - interval), kept(before_key, now - interval))
    local wait = math.max(sent - ahead - now, 0)
    if wait <= longest and (is_back or last - now <= longest) then
        keep(sent_key, sent + interval)
        answer[i] = wait
    else
        last = math.max(last + interval, now + wait, now + 1)
        keep(last_key, last)
        answer[i] = now - last
    end
end
return answer
"""


@dataclass(frozen=True)
class Wish:
    """One request to a subscription that has a limit."""

    subscription_id: int
    per_second: float
    #: who has to wait longer is to come back
    longest_wait_seconds: float
    #: it was sent away before: those who are to come back do not go before it
    is_back: bool
    is_replay: bool = False

    @property
    def interval(self) -> int:
        """Microseconds from one request to the next."""
        return max(1, round(MICROSECONDS / self.per_second))

    @property
    def names(self) -> tuple[str, str, str]:
        """With the rate in them: a changed one begins anew, and counts at once."""
        name = f"subscription:{self.subscription_id}:{self.interval}"
        before = f"{name}:last"
        return f"{name}:sent", f"{before}:replay" if self.is_replay else before, before

    @property
    def arguments(self) -> tuple[int, int, int, int]:
        burst = max(1, int(self.per_second * BURST_SECONDS))
        longest = round(self.longest_wait_seconds * MICROSECONDS)
        return self.interval, self.interval * (burst - 1), longest, int(self.is_back)


def reserve(wishes: Sequence[Wish]) -> list[float]:
    """For each the seconds until its request may go; below zero: until it is to come back, for it may not.

    One round trip for all. While the store is away each process keeps the rate for itself.
    """
    return [answer / MICROSECONDS for answer in Paces.by_settings().reserve(wishes)]


class OwnPaces:
    """The same within one process."""

    def __init__(self) -> None:
        self._moments: dict[str, int] = {}
        self._lock = Lock()

    def reserve(self, wishes: Sequence[Wish], now: int) -> list[int]:
        """What the script answers, at the time `now` in microseconds."""
        with self._lock:
            if len(self._moments) >= OWN_BUCKETS_MAX:
                kept = {name: moment for name, moment in self._moments.items() if moment > now}
                self._moments = kept if len(kept) < OWN_BUCKETS_MAX else {}
            return [self._one(wish, now) for wish in wishes]

    def _one(self, wish: Wish, now: int) -> int:
        sent_name, last_name, before_name = wish.names
        interval, ahead, longest, is_back = wish.arguments
        sent = max(self._moments.get(sent_name, now), now)
        last = max(self._kept(last_name, now, interval), self._kept(before_name, now, interval))
        wait = max(sent - ahead - now, 0)
        if wait <= longest and (is_back or last - now <= longest):
            self._moments[sent_name] = sent + interval
            return wait
        last = max(last + interval, now + wait, now + 1)
        self._moments[last_name] = last
        return now - last

    def _kept(self, name: str, now: int, interval: int) -> int:
        moment = self._moments.get(name, 0)
        return moment if moment > now else now - interval


class Paces(SharedStore):
    """The moments that all workers share, or this process's own while those cannot be asked."""

    SCRIPT = RESERVE

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        super().__init__(url, prefix, timeout_seconds)
        self._own = OwnPaces()

    def reserve(self, wishes: Sequence[Wish], now: int = 0) -> list[int]:
        """The script's answer; `now` is the store's own clock unless given. Never raises."""
        names = [name for wish in wishes for name in wish.names]
        arguments = [number for wish in wishes for number in wish.arguments]
        answer = self.ask(names, [now, *arguments])
        if answer is not None:
            return answer
        return self._own.reserve(wishes, now or time.monotonic_ns() // 1000)
