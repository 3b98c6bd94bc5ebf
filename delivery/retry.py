"""When to try again. Pure: the clock and the randomness are passed in.

Schedules are data. `standard` is Standard Webhooks' recommendation; the others are what the five
source systems state or do: LEAPERone 2 s doubling to a ceiling of 30 s, five retries; Skyvern's code 1 s and
2 s plus up to a second; eachlabs' only published series; ELAN's own sender 60 s doubling to an hour
with up to 25 % on top, eight attempts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

# RFC 9110, 15.5.11: the receiver says that nobody will ever listen there again.
GONE = 410
MINUTE = 60.0
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Seconds to wait after each failed attempt; when they are used up the delivery is exhausted."""

    delays_seconds: tuple[float, ...]
    #: each wait is multiplied by a factor drawn from this range
    jitter_factor: tuple[float, float] = (1.0, 1.0)
    #: seconds drawn from this range are added to each wait
    jitter_seconds: tuple[float, float] = (0.0, 0.0)
    #: statuses that are worth another attempt; None: every one outside 2xx except 410
    retryable_statuses: frozenset[int] | None = None
    #: Retry-After is followed up to this many seconds; None: up to the service's own limit
    retry_after_max_seconds: float | None = None
    #: does Retry-After replace the wait (True) or only lengthen it (False)?
    retry_after_replaces: bool = False


POLICIES: Mapping[str, RetryPolicy] = {
    "standard": RetryPolicy(
        delays_seconds=(
            *(5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
            *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
        ),
        jitter_factor=(0.9, 1.1),
    ),
    "elan": RetryPolicy(
        delays_seconds=tuple(min(60.0 * 2**n, HOUR) for n in range(7)), jitter_factor=(1.0, 1.25)
    ),
    "leaperone": RetryPolicy(delays_seconds=(2.0, 4.0, 8.0, 16.0, 30.0)),
    "skyvern": RetryPolicy(
        delays_seconds=(1.0, 2.0),
        jitter_seconds=(0.0, 1.0),
        retryable_statuses=frozenset({403, 408, 425, 429, *range(500, 600)}),
        retry_after_max_seconds=30.0,
        retry_after_replaces=True,
    ),
    "eachlabs": RetryPolicy(delays_seconds=(30.0, 120.0, 600.0)),
}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows a failed attempt: a wait in seconds, or None for the end, and why."""

    delay_seconds: float | None
    reason: str


def policy_for(name: str, schedule: Sequence[float] | None) -> RetryPolicy:
    """The explicit list of seconds where there is one, else the named policy."""
    if schedule is not None:
        return RetryPolicy(delays_seconds=tuple(schedule))
    return POLICIES[name]


def decide(
    policy: RetryPolicy,
    *,
    attempt: int,
    status_code: int | None,
    retry_after: str | None,
    now: datetime,
    random: Callable[[], float],
    retry_after_max_seconds: float,
) -> Decision:
    """After failed attempt number `attempt` (from 1): try again, when?

    `status_code` is None where no answer came; `random` gives floats in [0, 1).
    """
    if status_code is not None:
        if status_code == GONE:
            return Decision(delay_seconds=None, reason="gone")
        if policy.retryable_statuses is not None and status_code not in policy.retryable_statuses:
            return Decision(delay_seconds=None, reason="not_retryable")
    if attempt > len(policy.delays_seconds):
        return Decision(delay_seconds=None, reason="schedule_used_up")
    delay = policy.delays_seconds[attempt - 1] * _between(policy.jitter_factor, random)
    delay += _between(policy.jitter_seconds, random)
    asked = parse_retry_after(retry_after, now)
    if asked is None:
        return Decision(delay_seconds=delay, reason="retry")
    ceiling = retry_after_max_seconds
    if policy.retry_after_max_seconds is not None:
        ceiling = min(ceiling, policy.retry_after_max_seconds)
    asked = min(asked, ceiling)
    return Decision(
        delay_seconds=asked if policy.retry_after_replaces else max(delay, asked), reason="retry_after"
    )


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds until what a Retry-After header names (RFC 9110, 10.2.3); None for nonsense."""
    if not text:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())


def _between(bounds: tuple[float, float], random: Callable[[], float]) -> float:
    low, high = bounds
    return low if low == high else low + (high - low) * random()
