"""Plots as plain shapes, for templates to draw: bars upon each other, and lines. Pure.

A drawing is stretched to the width that it gets, so that its words are beside it, as text of the page.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from delivery.stats.texts import duration, number

WIDTH, HEIGHT = 1000, 200
# Of a bar's place; the rest is the gap to the next one.
BAR_SHARE = 0.8
LABELS = 4

Value = float | None


@dataclass(frozen=True)
class Series:
    """One number for each step of time; None where there is none."""

    name: str
    #: the class by which the style sheet colours it
    css: str
    values: Sequence[Value]
    #: where one reads more of it
    url: str = ""


@dataclass(frozen=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    css: str


@dataclass(frozen=True)
class Line:
    """A part without a gap; a lonely point is a short stroke."""

    points: str
    css: str


@dataclass(frozen=True)
class Column:
    """What the pointer is told of a step, anywhere above it."""

    x: str
    width: str
    title: str


@dataclass(frozen=True)
class Drawing:
    bars: Sequence[Bar]
    lines: Sequence[Line]
    columns: Sequence[Column]
    #: from the top down
    marks: Sequence[str]
    #: from left to right
    times: Sequence[str]


def stacked(series: Sequence[Series], steps: Sequence[str]) -> Drawing:
    """Bars of all series upon each other, the first at the bottom; `steps` are their names."""
    sums = [sum(one.values[n] or 0 for one in series) for n in range(len(steps))]
    top = nice_top(max(sums, default=0))
    place = WIDTH / max(1, len(steps))
    bars = []
    for n in range(len(steps)):
        below = 0.0
        for one in series:
            if value := one.values[n] or 0:
                below += value
                x, y = (n + (1 - BAR_SHARE) / 2) * place, HEIGHT * (1 - below / top)
                bars.append(Bar(_at(x), _at(y), _at(place * BAR_SHARE), _at(HEIGHT * value / top), one.css))
    marks = [number(top), number(top / 2), "0"]
    return Drawing(bars, [], _columns(series, steps, number), marks, _times(steps))


def logarithmic(series: Sequence[Series], steps: Sequence[str]) -> Drawing:
    """Lines of durations in milliseconds: a tenth is as far from one as one from ten."""
    values = [value for one in series for value in one.values if value]
    # What is shorter than a microsecond is drawn as one.
    low = max(-3, math.floor(math.log10(min(values)))) if values else 0
    high = max(low + 1, math.ceil(math.log10(max(values))) if values else 1)
    place = WIDTH / max(1, len(steps))

    def point(n: int, value: float) -> tuple[float, float]:
        height = (math.log10(max(value, 10**low)) - low) / (high - low)
        return (n + 0.5) * place, HEIGHT * (1 - height)

    lines = []
    for one in series:
        for part in _unbroken(one.values):
            points = [point(n, value) for n, value in part]
            if len(points) == 1:
                ((x, y),) = points
                points = [(x - place / 4, y), (x + place / 4, y)]
            lines.append(Line(" ".join(f"{_at(x)},{_at(y)}" for x, y in points), one.css))
    marks = [duration(10**power) for power in range(high, low - 1, -1)]
    return Drawing([], lines, _columns(series, steps, duration), marks, _times(steps))


def nice_top(most: float) -> float:
    """The end of an axis that has this on it: round, and so is its half."""
    if most <= 2:
        return 2
    power: float = 10 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= most)


def _unbroken(values: Sequence[Value]) -> list[list[tuple[int, float]]]:
    parts: list[list[tuple[int, float]]] = [[]]
    for n, value in enumerate(values):
        if value is not None:
            parts[-1].append((n, value))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _columns(series: Sequence[Series], steps: Sequence[str], text: Callable[[Value], str]) -> list[Column]:
    place = WIDTH / max(1, len(steps))
    return [
        Column(
            _at(n * place),
            _at(place),
            "\n".join([step, *(f"{one.name}: {text(one.values[n])}" for one in series)]),
        )
        for n, step in enumerate(steps)
    ]


def _times(steps: Sequence[str]) -> list[str]:
    """The names of a few steps, the first and the last among them."""
    if len(steps) <= LABELS:
        return list(steps)
    return [steps[round(n * (len(steps) - 1) / (LABELS - 1))] for n in range(LABELS)]


def _at(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
