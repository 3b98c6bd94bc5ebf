"""What the doctor says of one thing. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


# Problems first.
ORDER = (Level.ERROR, Level.WARNING, Level.OK)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. The id is stable: alerts may name it; docs/operations.md lists all."""

    id: str
    level: Level
    what: str
    """What is so."""
    todo: str = ""
    """What to do about it; empty where nothing is wrong."""


def ok(id_: str, what: str) -> Finding:
    return Finding(id_, Level.OK, what)


def warning(id_: str, what: str, todo: str) -> Finding:
    return Finding(id_, Level.WARNING, what, todo)


def error(id_: str, what: str, todo: str) -> Finding:
    return Finding(id_, Level.ERROR, what, todo)


def worst(findings: Iterable[Finding]) -> Level:
    found = {finding.level for finding in findings}
    return next((level for level in ORDER if level in found), Level.OK)


def span(seconds: float) -> str:
    """A duration as people say it: 45 s, 12 min, 3 h, 2 days."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def clock(id_: str, whose: str, other: str, ahead_seconds: float, most_seconds: float) -> Finding:
    """Judge how far a clock is ahead of another (negative: behind)."""
    if abs(ahead_seconds) <= most_seconds:
        return ok(id_, f"{whose} is within {most_seconds:g} s of {other}")
    way = "ahead of" if ahead_seconds > 0 else "behind"
    return warning(
        id_,
        f"{whose} is {abs(ahead_seconds):.1f} s {way} {other}",
        "Let NTP set both: what is due is decided by the database's clock, short waits by the workers'.",
    )
