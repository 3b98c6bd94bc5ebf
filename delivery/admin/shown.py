"""Bodies, headers and times as texts for a page, always escaped: they come from strangers."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.html import format_html, format_html_join
from django.utils.timezone import localtime

from delivery.states import State

SHOWN_MAX_CHARACTERS = 64 * 1024
# Lines of a body that a search lists.
LINES_FOUND_MAX = 200
LINE_MAX_CHARACTERS = 500
# How a state looks: what went well, what did not, what goes on, what waits for a person.
TONES = {
    State.DELIVERED: "good",
    **dict.fromkeys((State.EXHAUSTED, State.BLOCKED), "bad"),
    **dict.fromkeys((State.PENDING, State.WAITING), "busy"),
    State.HELD: "held",
}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True, kw_only=True)
class ShownText:
    """The beginning of a text, and how much there is of it."""

    text: str
    size: int
    is_cut: bool


@dataclass(frozen=True, kw_only=True)
class FoundLine:
    """A line that holds what was searched for, split where it does."""

    number: int
    #: (text, is what was searched for)
    pieces: list[tuple[str, bool]]


def body(raw: bytes) -> ShownText:
    """The frozen bytes, laid out if they are JSON."""
    text = laid_out(raw)
    return ShownText(text=text[:SHOWN_MAX_CHARACTERS], size=len(raw), is_cut=len(text) > SHOWN_MAX_CHARACTERS)


def laid_out(raw: bytes) -> str:
    text = raw.decode("utf-8", errors="backslashreplace")
    with suppress(ValueError, RecursionError):
        return pretty(json.loads(text))
    return text


def found_lines(text: str, term: str) -> list[FoundLine]:
    """The first lines of the whole text that hold `term`, in whatever case."""
    wanted = term.lower()
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if wanted in line.lower():
            found.append(FoundLine(number=number, pieces=_pieces(line[:LINE_MAX_CHARACTERS], wanted)))
            if len(found) == LINES_FOUND_MAX:
                break
    return found


def _pieces(line: str, wanted: str) -> list[tuple[str, bool]]:
    # A few letters change their number when they change their case: then nothing is marked.
    lowered = line.lower() if len(line.lower()) == len(line) else ""
    pieces, start = [], 0
    while (at := lowered.find(wanted, start)) >= 0:
        pieces += [(line[start:at], False), (line[at : at + len(wanted)], True)]
        start = at + len(wanted)
    return [*pieces, (line[start:], False)]


def pretty(value: Any) -> str:
    """JSON for people; lone surrogates, which no page can carry, stay escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text.encode("utf-8", errors="backslashreplace").decode()


def pairs(headers: Any) -> list[tuple[str, str]]:
    """Name and value. Templates must not be given the mapping: to them `.items` may be a header."""
    return [(str(name), str(value)) for name, value in headers.items()] if isinstance(headers, dict) else []


def preformatted(text: str) -> str:
    return format_html('<pre class="body">{}</pre>', text[:SHOWN_MAX_CHARACTERS])


def badge(text: str, tone: str) -> str:
    return format_html('<span class="badge badge-{}">{}</span>', tone, text)


def state_badge(state: str) -> str:
    return badge(state, TONES.get(State(state), "quiet"))


def span(seconds: float) -> str:
    """A length of time in at most two units: `12 min`, `2 h 5 min`, `450 ms`."""
    if seconds < 1:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left = round(seconds)
    parts: list[str] = []
    for name, size in (*_UNITS, ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def short_id(key: UUID) -> str:
    """Its end, which is random: enough to tell rows apart. The whole one is where it points to."""
    text = str(key)
    return format_html('<span title="{}">…{}</span>', text, text[-8:])


def host(url: str) -> str:
    """Where a URL leads, as short as a column is; nothing is judged here."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]


def moment(at: datetime | None) -> str:
    return "-" if at is None else f"{localtime(at):%Y-%m-%d %H:%M:%S}"


def narrow_moment(at: datetime | None) -> str:
    """For a column: the day and the time may be below each other, but each stays whole."""
    if at is None:
        return "-"
    parts = moment(at).split(" ")
    return format_html_join(" ", '<span class="moment-of-list">{}</span>', ((part,) for part in parts))
