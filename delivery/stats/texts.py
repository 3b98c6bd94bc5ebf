"""Figures as people say them. Pure."""

import math


def number(value: float | None) -> str:
    """950, 1.2k, 3.4M."""
    if value is None:
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_short(value / size)}{unit}"
    return f"{value:.0f}"


def duration(milliseconds: float | None) -> str:
    """45 ms, 1.2 s, 3 min, 2 h."""
    if milliseconds is None:
        return "-"
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if milliseconds >= size:
            return f"{_short(milliseconds / size)} {unit}"
    return f"{_short(milliseconds)} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def share(value: float | None) -> str:
    """100 % is all of them: what is less is never rounded up to it."""
    if value is None:
        return "-"
    percent = math.floor(value * 10_000) / 100
    return f"{percent:.2f}".rstrip("0").removesuffix(".") + " %"


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
