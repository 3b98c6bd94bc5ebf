"""When to try again: every policy's numbers, pinned."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from delivery.retry import POLICIES, Decision, RetryPolicy, decide, parse_retry_after, policy_for

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CEILING_SECONDS = 3600.0
ALMOST_ONE = 1.0 - 2**-53
STANDARD_SECONDS = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


def after(
    policy: RetryPolicy | str,
    attempt: int = 1,
    *,
    status: int | None = 500,
    retry_after: str | None = None,
    random: float = 0.0,
) -> Decision:
    return decide(
        POLICIES[policy] if isinstance(policy, str) else policy,
        attempt=attempt,
        status_code=status,
        retry_after=retry_after,
        now=NOW,
        random=lambda: random,
        retry_after_max_seconds=CEILING_SECONDS,
    )


def waits(policy: RetryPolicy | str, *, random: float = 0.0) -> list[float]:
    """Every wait until the schedule is used up, rounded to microseconds."""
    found: list[float] = []
    while (delay := after(policy, len(found) + 1, random=random).delay_seconds) is not None:
        found.append(round(delay, 6))
    return found


@pytest.mark.parametrize(
    ("policy", "random", "expected"),
    [
        pytest.param("leaperone", 0.0, [2, 4, 8, 16, 30], id="leaperone: 5 retries, capped at 30 s"),
        pytest.param("leaperone", ALMOST_ONE, [2, 4, 8, 16, 30], id="leaperone has no jitter"),
        pytest.param("skyvern", 0.0, [1, 2], id="skyvern without jitter"),
        pytest.param("skyvern", 0.7, [1.7, 2.7], id="skyvern with 0.7"),
        pytest.param("eachlabs", 0.0, [30, 120, 600], id="eachlabs: 4 attempts"),
        pytest.param("eachlabs", ALMOST_ONE, [30, 120, 600], id="eachlabs has no jitter"),
        pytest.param("elan", 0.0, [60, 120, 240, 480, 960, 1920, 3600], id="elan: 8 attempts up to an hour"),
        pytest.param("elan", ALMOST_ONE, [75, 150, 300, 600, 1200, 2400, 4500], id="elan: 25 % on top"),
        pytest.param("standard", 0.5, STANDARD_SECONDS, id="standard in the middle of its jitter"),
        pytest.param("standard", 0.0, [0.9 * s for s in STANDARD_SECONDS], id="standard: 10 % less"),
        pytest.param("standard", ALMOST_ONE, [1.1 * s for s in STANDARD_SECONDS], id="standard: 10 % more"),
    ],
)
def test_a_policy_waits_this_long(policy: str, random: float, expected: Sequence[float]) -> None:
    assert waits(policy, random=random) == pytest.approx(expected)


def test_there_are_no_other_policies() -> None:
    assert set(POLICIES) == {"standard", "elan", "leaperone", "skyvern", "eachlabs"}


@pytest.mark.parametrize(("name", "last"), [("leaperone", 6), ("skyvern", 3), ("eachlabs", 4), ("elan", 8)])
def test_after_the_last_attempt_the_schedule_is_used_up(name: str, last: int) -> None:
    assert after(name, last - 1).reason == "retry"
    assert after(name, last) == Decision(delay_seconds=None, reason="schedule_used_up")
    assert after(name, last + 5) == Decision(delay_seconds=None, reason="schedule_used_up")


def test_an_explicit_schedule_replaces_the_policy_and_has_no_jitter() -> None:
    policy = policy_for("standard", [1.5, 0, 3])

    assert waits(policy, random=0.9) == [1.5, 0, 3]


def test_an_empty_schedule_means_a_single_attempt() -> None:
    assert after(policy_for("standard", [])).reason == "schedule_used_up"


def test_without_a_schedule_the_named_policy_counts() -> None:
    assert policy_for("leaperone", None) is POLICIES["leaperone"]


@pytest.mark.parametrize("name", POLICIES)
def test_410_ends_the_delivery_at_once(name: str) -> None:
    decision = after(name, status=410, retry_after="5")

    assert decision.delay_seconds is None
    assert decision.reason in ("gone", "not_retryable")


@pytest.mark.parametrize("status", [None, 100, 301, 302, 400, 401, 403, 404, 408, 422, 429, 500, 503, 599])
@pytest.mark.parametrize("name", ["standard", "elan", "leaperone", "eachlabs"])
def test_everything_else_outside_2xx_is_tried_again(name: str, status: int | None) -> None:
    assert after(name, status=status).delay_seconds is not None


@pytest.mark.parametrize("status", [None, 403, 408, 425, 429, 500, 502, 599])
def test_skyvern_tries_again_after_these(status: int | None) -> None:
    assert after("skyvern", status=status).delay_seconds == 1


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 422, 600])
def test_skyvern_gives_up_at_once_after_the_others(status: int) -> None:
    assert after("skyvern", status=status) == Decision(delay_seconds=None, reason="not_retryable")


@pytest.mark.parametrize(
    ("policy", "header", "seconds"),
    [
        pytest.param("skyvern", "5", 5, id="skyvern follows it"),
        pytest.param("skyvern", "0", 0, id="skyvern follows it, shorter too"),
        pytest.param("skyvern", "300", 30, id="skyvern up to 30 s"),
        pytest.param("skyvern", "soon", 1, id="skyvern ignores nonsense"),
        pytest.param("leaperone", "1", 2, id="others never wait less than scheduled"),
        pytest.param("leaperone", "20", 20, id="others wait longer if asked"),
        pytest.param("leaperone", "86400", 3600, id="others up to the service's limit"),
        pytest.param("leaperone", "9" * 400, 3600, id="a huge number is the limit"),
        pytest.param("leaperone", "Sun, 01 Mar 2026 12:00:45 GMT", 45, id="a date"),
        pytest.param("leaperone", "Sun, 01 Mar 2026 13:00:45 +0100", 45, id="a date with an offset"),
        pytest.param("leaperone", "Sun, 01 Mar 2026 11:00:00 GMT", 2, id="a past date"),
        pytest.param("leaperone", "Fri, 01 Jan 9999 00:00:00 GMT", 3600, id="a date far away"),
    ],
)
def test_retry_after(policy: str, header: str, seconds: float) -> None:
    assert after(policy, retry_after=header).delay_seconds == seconds


def test_retry_after_does_not_revive_a_used_up_schedule() -> None:
    assert after("leaperone", 6, retry_after="5").delay_seconds is None


NONSENSE = [
    *("", " ", "soon", "-1", "1.5", "5s", "+5", "1e3", "٣", "²", "NaN", "Infinity", "5, 6", "0x10", "\x00"),
    *(
        "Sun, 01 Mar 2026 12:00:45",
        "Sun, 32 Mar 2026 12:00:45 GMT",
        "01 Jan 99999 00:00:00 GMT",
        ",,,",
        "GMT",
    ),
    *("Jan 1", "2026-03-01T12:00:45Z", "Sun, 01 Mar 2026 25:00:00 GMT", "Sun, 01 Mar 2026 12:00:45 +9999"),
    "Sun, 01 Mar 2026 12:00:45 +9999999999999999",
    "Sun, 01 Mar 2026 12:00:45 -99999999999999999999",
    "1" * 5000 + "x",
]


@pytest.mark.parametrize("text", NONSENSE, ids=[repr(text)[:50] for text in NONSENSE])
def test_a_receiver_that_writes_nonsense_gets_the_scheduled_wait(text: str) -> None:
    assert parse_retry_after(text, NOW) is None
    assert after("leaperone", retry_after=text).delay_seconds == 2


def test_a_date_is_counted_from_now() -> None:
    assert parse_retry_after("Sun, 01 Mar 2026 12:00:45 GMT", NOW) == 45
    assert parse_retry_after("Sun, 01 Mar 2026 12:00:45 GMT", NOW - timedelta(seconds=15)) == 60
    assert parse_retry_after("Sun, 01 Mar 2026 12:00:45 GMT", NOW + timedelta(hours=1)) == 0
