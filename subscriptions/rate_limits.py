"""How often something may happen: buckets that all processes share, kept in the broker's Redis or Valkey.

The algorithm is GCRA. It lets through what a token bucket would, but a bucket is a single number, the
moment at which it will be full again: one script reads and writes all that are asked, in one round
trip, and a full bucket is no key at all. While the store is away each process counts on its own, so
neither does it hold a caller up nor are the limits gone.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, Self

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

KEY_PREFIX = "rate:"
MICROSECONDS = 1_000_000
# After a failure the store is left alone for so long; then one call finds out for all.
PAUSE_SECONDS = 1.0
# Of this process, while the store is away: about 2 MB.
OWN_BUCKETS_MAX = 10_000

# The places are taken from all buckets or from none. Times are whole microseconds, which Lua's numbers
# hold exactly. Answers the wait and, for each bucket, how long it takes until it is full again.
TAKE = """
local now = tonumber(ARGV[1])
if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 1000000 + time[2]
end
local places = tonumber(ARGV[2])
local wait, full_at, kept = 0, {}, redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
    local interval, burst = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    full_at[i] = math.max(tonumber(kept[i] or now), now)
    wait = math.max(wait, full_at[i] + interval * places - interval * burst - now)
end
local answer = {wait}
for i, key in ipairs(KEYS) do
    if wait == 0 then
        full_at[i] = full_at[i] + ARGV[2 * i + 1] * places
        local milliseconds = math.ceil((full_at[i] - now) / 1000)
        redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', string.format('%.0f', milliseconds))
    end
    answer[i + 1] = full_at[i] - now
end
return answer
"""


@dataclass(frozen=True)
class Bucket:
    """`burst` at once, `per_second` in the long run; `name` says what is counted, the same everywhere."""

    name: str
    per_second: float
    burst: int

    @property
    def interval(self) -> int:
        """Microseconds in which one place comes free."""
        return max(1, round(MICROSECONDS / self.per_second))


@dataclass(frozen=True)
class Verdict:
    """Was there a place in each bucket? The figures are those of the one that is nearest to its end."""

    wait_seconds: float
    limit: int
    remaining: int
    full_in_seconds: float

    @property
    def is_allowed(self) -> bool:
        return self.wait_seconds == 0


def take(*buckets: Bucket, places: int = 1) -> Verdict | None:
    """Places in each bucket, or in none if one has too few. A rate of 0 is no limit; None: no limits."""
    limited = [bucket for bucket in buckets if bucket.per_second]
    if not limited:
        return None
    return verdict(limited, Store.by_settings().take(limited, places=places))


def why_unusable(url: str) -> str | None:
    """Why this client could never use the URL, though Celery's might; None if all is well."""
    try:
        Redis.from_url(url).connection_pool.make_connection()
    except (RedisError, TypeError, ValueError) as error:
        return str(error)
    return None


def verdict(buckets: Sequence[Bucket], answer: Sequence[int]) -> Verdict:
    """What the script answered, in words."""
    wait, *full_in = answer
    left = [
        (bucket.interval * bucket.burst - filling) // bucket.interval
        for bucket, filling in zip(buckets, full_in, strict=True)
    ]
    tightest = min(range(len(buckets)), key=lambda place: left[place])
    return Verdict(
        wait_seconds=wait / MICROSECONDS,
        limit=buckets[tightest].burst,
        remaining=max(0, left[tightest]),
        full_in_seconds=full_in[tightest] / MICROSECONDS,
    )


class OwnBuckets:
    """The same within one process."""

    def __init__(self) -> None:
        self._full_at: dict[str, int] = {}
        self._lock = Lock()

    def take(self, buckets: Sequence[Bucket], now: int, places: int = 1) -> list[int]:
        """What the script answers, at the time `now` in microseconds."""
        with self._lock:
            self._forget_full(now)
            full_at = [max(self._full_at.get(bucket.name, now), now) for bucket in buckets]
            wait = max(
                0,
                *(
                    full + bucket.interval * places - bucket.interval * bucket.burst - now
                    for bucket, full in zip(buckets, full_at, strict=True)
                ),
            )
            if wait == 0:
                full_at = [
                    full + bucket.interval * places for bucket, full in zip(buckets, full_at, strict=True)
                ]
                self._full_at |= {bucket.name: full for bucket, full in zip(buckets, full_at, strict=True)}
            return [wait, *(full - now for full in full_at)]

    def _forget_full(self, now: int) -> None:
        """So that memory stays bounded; if nothing is full the whole count begins anew."""
        if len(self._full_at) >= OWN_BUCKETS_MAX:
            kept = {name: full for name, full in self._full_at.items() if full > now}
            self._full_at = kept if len(kept) < OWN_BUCKETS_MAX else {}


class SharedStore:
    """One script in the broker's store. While it is away it is asked once a second at the most."""

    SCRIPT: str

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        self._client = Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # A second try would double the time-out; the next call is the second try.
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._client.register_script(self.SCRIPT)
        self._prefix = prefix + KEY_PREFIX
        self._lock = Lock()
        self._ask_again_at: float | None = None

    @classmethod
    def by_settings(cls) -> Self:
        """This process's, in the broker's store."""
        prefix = settings.CELERY_BROKER_TRANSPORT_OPTIONS["global_keyprefix"]
        made: Self = _made(
            cls,  # type: ignore[arg-type]  # a class can be hashed
            *(settings.CELERY_BROKER_URL, prefix, settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS),
        )
        return made

    def ask(self, names: Sequence[str], arguments: Sequence[int]) -> list[int] | None:
        """The script's answer, or None while the store is away. Never raises."""
        if not self._may_ask():
            return None
        try:
            answer: list[int] = self._script(keys=[self._prefix + name for name in names], args=arguments)
        except (RedisError, OSError) as error:
            self._away(error)
            return None
        self._back()
        return answer

    def _may_ask(self) -> bool:
        with self._lock:
            if self._ask_again_at is None:
                return True
            if time.monotonic() < self._ask_again_at:
                return False
            # The others go on without until this call knows.
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
            return True

    def _away(self, error: Exception) -> None:
        with self._lock:
            if self._ask_again_at is None:
                logger.warning("rate limits count per process: the store is away error=%s", error)
            self._ask_again_at = time.monotonic() + PAUSE_SECONDS
        # They may all be from before a restart.
        self._client.connection_pool.disconnect(inuse_connections=False)

    def _back(self) -> None:
        # Looked at without the lock first, for this is each call's way.
        if self._ask_again_at is not None:
            with self._lock:
                self._ask_again_at = None
            logger.info("rate limits count over all processes again")


@cache
def _made(kind: type[Any], url: str, prefix: str, timeout_seconds: float) -> Any:
    return kind(url, prefix, timeout_seconds)


class Store(SharedStore):
    """The shared buckets, or this process's own while those cannot be asked."""

    SCRIPT = TAKE

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        super().__init__(url, prefix, timeout_seconds)
        self._own = OwnBuckets()

    def take(self, buckets: Sequence[Bucket], now: int = 0, places: int = 1) -> list[int]:
        """The script's answer; `now` is the store's own clock unless given. Never raises."""
        limits = [number for bucket in buckets for number in (bucket.interval, bucket.burst)]
        answer = self.ask([bucket.name for bucket in buckets], [now, places, *limits])
        if answer is not None:
            return answer
        return self._own.take(buckets, now or time.monotonic_ns() // 1000, places)
