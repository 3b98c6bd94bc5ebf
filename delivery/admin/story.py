"""A delivery's story: each attempt with what came of it, and its body in the forms that people need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delivery.admin import curl, shown
from delivery.admin.standing import next_step
from delivery.models import Attempt, Delivery
from delivery.phases import Phases

ATTEMPTS_SHOWN_MAX = 100


PHASE_NAMES = {"dns": "DNS", "connect": "connect", "tls": "TLS", "wait": "wait", "read": "read"}


@dataclass(frozen=True, kw_only=True)
class PhaseBar:
    """One phase of an attempt, as a part of a bar that is 1,000 wide."""

    name: str
    css_class: str
    milliseconds: float
    left: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One attempt on the time line."""

    facts: Attempt
    outcome: str
    tone: str
    #: since the delivery was made
    after: str
    next_step: str
    phases: list[PhaseBar]
    request_headers: list[tuple[str, str]]
    response_headers: list[tuple[str, str]]


def attempts_of(delivery: Delivery) -> list[Attempt]:
    """The latest ones, oldest first."""
    return list(reversed(delivery.attempt_log.order_by("-id")[:ATTEMPTS_SHOWN_MAX]))


def last_that_counts(log: Sequence[Attempt]) -> Attempt | None:
    return next((attempt for attempt in reversed(log) if not attempt.late), None)


def moments(delivery: Delivery, log: Sequence[Attempt], *, now: datetime) -> list[Moment]:
    following: Attempt | None = None
    found = []
    for attempt in reversed(log):
        outcome, tone = outcome_of(attempt)
        found.append(
            Moment(
                facts=attempt,
                outcome=outcome,
                tone=tone,
                after=shown.span((attempt.created_at - delivery.created_at).total_seconds()),
                next_step=next_step(delivery, attempt, following, now=now),
                phases=phase_bars(attempt.measured),
                request_headers=shown.pairs(attempt.request_headers),
                response_headers=shown.pairs(attempt.response_headers),
            )
        )
        following = following if attempt.late else attempt
    return found[::-1]


def phase_bars(phases: Phases | None) -> list[PhaseBar]:
    measured = [] if phases is None else phases.measured()
    total = sum(spent for _, spent in measured) or 1
    bars, left = [], 0
    for name, spent in measured:
        width = spent * 1000 // total
        bars.append(
            PhaseBar(
                name=PHASE_NAMES[name],
                css_class=f"phase-{name}",
                milliseconds=spent / 1000,
                left=left,
                width=width,
            )
        )
        left += width
    return bars


def outcome_of(attempt: Attempt) -> tuple[str, str]:
    """What came of it in a word or two, and how that looks."""
    code = "" if attempt.status_code is None else f"{attempt.status_code} "
    text = f"{code}{'accepted' if attempt.success else attempt.error_class}"
    return text, "good" if attempt.success else "quiet" if attempt.late else "bad"


def body_context(delivery: Delivery, raw: bytes, last: Attempt | None, find: str) -> dict[str, Any]:
    """For those who may see bodies."""
    sent = shown.pairs(last.request_headers) if last is not None else []
    headers = sent or [("Content-Type", "application/json"), ("webhook-id", delivery.webhook_id)]
    return {
        "body": shown.body(raw),
        "find": find,
        "found": shown.found_lines(shown.laid_out(raw), find) if find else [],
        "found_max": shown.LINES_FOUND_MAX,
        "curl": curl.command(url=delivery.url, headers=headers, body=raw, file_name=file_name(delivery)),
        "curl_of": last if sent else None,
    }


def file_name(delivery: Delivery) -> str:
    return f"{delivery.pk}.body"
