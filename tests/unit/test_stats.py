"""Percentiles from slots, and figures as people say them."""

from bisect import bisect_right
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.stats import texts
from delivery.stats.slots import BOUNDS_MS, percentile

DURATIONS = st.lists(st.floats(0, BOUNDS_MS[-1] * 2), min_size=1, max_size=200)
SHARES = st.floats(0.01, 1.0)


def slots(durations: list[float]) -> Counter[int]:
    return Counter(bisect_right(BOUNDS_MS, duration) for duration in durations)


@given(DURATIONS, SHARES)
def test_a_percentile_lies_in_the_slot_of_the_duration_that_it_stands_for(
    durations: list[float], share: float
) -> None:
    found = percentile(slots(durations), share)

    rank = max(1, -int(-share * len(durations) // 1))
    exact = sorted(durations)[rank - 1]
    edges = [(low, high) for low, high in pairwise((0, *BOUNDS_MS)) if low <= exact < high]
    low, high = edges[0] if edges else (BOUNDS_MS[-1], BOUNDS_MS[-1])
    assert found is not None
    assert low <= found <= high


@given(DURATIONS, SHARES, SHARES)
def test_a_higher_share_is_never_a_shorter_duration(durations: list[float], one: float, two: float) -> None:
    numbers = slots(durations)
    lower, higher = sorted((one, two))

    assert (percentile(numbers, lower) or 0) <= (percentile(numbers, higher) or 0)


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.95) is None


def test_bounds_rise() -> None:
    assert all(low < high for low, high in pairwise(BOUNDS_MS))


@pytest.mark.parametrize(
    ("said", "figure"),
    [
        (texts.number(None), "-"),
        (texts.number(950), "950"),
        (texts.number(1_200), "1.2k"),
        (texts.number(3_000_000), "3M"),
        (texts.duration(4.2), "4.2 ms"),
        (texts.duration(45.4), "45 ms"),
        (texts.duration(1_250), "1.2 s"),
        (texts.duration(180_000), "3 min"),
        (texts.duration(7_200_000), "2 h"),
        (texts.share(1.0), "100 %"),
        (texts.share(0.999_999), "99.99 %"),
        (texts.share(0.5), "50 %"),
        (texts.share(0.0), "0 %"),
        (texts.share(None), "-"),
    ],
)
def test_figures_are_short(said: str, figure: str) -> None:
    assert said == figure
