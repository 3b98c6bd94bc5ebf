"""Durations by slot, and what can be said of many from them. Pure."""

from collections.abc import Mapping
from itertools import pairwise

# The upper bounds of the slots, in milliseconds; one more slot has all beyond. About ×2 each, so a
# percentile read from them is off by less than that. Rows hold a slot's number: new bounds only at the end.
# The longest time-out is 60 s; what waits for its first attempt may wait longer.
BOUNDS_MS = (
    *(2, 5, 10, 25, 50, 100, 250, 500),
    *(1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 3_600_000),
)


def percentile(numbers: Mapping[int, int], share: float) -> float | None:
    """The duration below which `share` of them lie, in ms; None of nothing.

    `numbers` is how many there are by slot. Within a slot they are taken to be spread evenly, as
    Prometheus' `histogram_quantile` does; beyond the last bound it is that bound.
    """
    wanted = share * sum(numbers.values())
    if not wanted:
        return None
    below = 0
    for slot, (low, high) in enumerate(pairwise((0, *BOUNDS_MS))):
        here = numbers.get(slot, 0)
        if here and below + here >= wanted:
            return low + (high - low) * (wanted - below) / here
        below += here
    return float(BOUNDS_MS[-1])
