"""A webhook as a person reads it, in a few lines, or as one line for programs. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delivery.listener.verifying import Verdict

LINES_MAX = 60
LINE_MAX_CHARACTERS = 2000
UNSIGNED = "unsigned"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What is told of a request and of its answer."""

    at: datetime
    path: str
    webhook_id: str
    body: bytes
    verdicts: Mapping[str, Verdict]
    #: how often this `webhook-id` has come in, with this time
    times: int
    status: int
    delay_seconds: float
    #: what was forwarded, and whether it was
    forwarded: str = ""

    @property
    def is_genuine(self) -> bool:
        return self.is_checked and set(self.verdicts.values()) <= {Verdict.GENUINE, Verdict.NO_KEY}

    @property
    def is_checked(self) -> bool:
        return any(verdict is not Verdict.NO_KEY for verdict in self.verdicts.values())

    @property
    def signature(self) -> str:
        if not self.verdicts:
            return UNSIGNED
        return ", ".join(f"{scheme}: {verdict}" for scheme, verdict in self.verdicts.items())


def what_of(body: bytes) -> str:
    """The event's type, or what a run's own formats tell instead."""
    value = _json(body)
    if not isinstance(value, dict):
        return "no JSON object"
    for name in ("event_type", "type", "status"):
        if isinstance(value.get(name), str):
            return printable(value[name]) if name != "status" else f"run {printable(value[name])}"
    return "unknown"


def headline(shown: Shown) -> tuple[str, str, str]:
    """When and what; how it is signed; how it was answered."""
    again = f"  (time {shown.times})" if shown.times > 1 else ""
    after = f" after {shown.delay_seconds:g} s" if shown.delay_seconds else ""
    what = f"{shown.at:%H:%M:%S}  {printable(shown.path)}  {what_of(shown.body)}{again}"
    return what, shown.signature, f"-> {shown.status}{after}{shown.forwarded}"


def details(shown: Shown) -> list[str]:
    """The id to deduplicate by, and the body."""
    return [f"webhook-id {printable(shown.webhook_id) or 'is missing'}", *_lines(shown.body)]


def as_json(shown: Shown) -> str:
    told: dict[str, Any] = {
        "at": shown.at.isoformat(),
        "path": shown.path,
        "webhook_id": shown.webhook_id,
        "what": what_of(shown.body),
        "times": shown.times,
        "signatures": shown.verdicts,
        "status": shown.status,
        "body": _json(shown.body),
    }
    return json.dumps(told)


def _lines(body: bytes) -> list[str]:
    value = _json(body)
    text = body.decode(errors="replace") if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    lines = [_cut(printable(line)) for line in text.splitlines()]
    more = len(lines) - LINES_MAX
    return [*lines[:LINES_MAX], f"… {more} more lines"] if more > 0 else lines


def _cut(line: str) -> str:
    more = len(line) - LINE_MAX_CHARACTERS
    return f"{line[:LINE_MAX_CHARACTERS]}… {more} more characters" if more > 0 else line


def _json(body: bytes) -> Any:
    """None for what is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def printable(text: str) -> str:
    """Without what would move a terminal's cursor or colour it."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
