"""What is kept of an answer or of its lack, and how its time is told: for both transports."""

import time
from collections.abc import Sequence

from delivery.phases import PhaseClock
from delivery.sender.result import NoAnswer, SendFailure
from delivery.states import ErrorClass

HEADERS_KEPT = 50
HEADER_VALUE_MAX_CHARACTERS = 512
UTF8_MAX_BYTES_PER_CHARACTER = 4


def kept_headers(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {_cut(name): _cut(value) for name, value in headers[:HEADERS_KEPT]}


def kept_text(raw: bytes, characters: int) -> str:
    """What the log keeps: NULs replaced, for PostgreSQL stores none."""
    return raw.decode("utf-8", errors="replace").replace("\x00", "\ufffd")[:characters]


def unanswered(failure: SendFailure, started: float, clock: PhaseClock) -> NoAnswer:
    """What becomes of a failure; a time would tell what the name of a refused target resolved to."""
    refused = failure.error_class is ErrorClass.ADDRESS_NOT_ALLOWED
    return NoAnswer(
        error_class=failure.error_class,
        message=failure.message,
        duration_ms=None if refused else milliseconds_since(started),
        phases=None if refused else clock.phases(),
        staff_detail=failure.staff_detail,
    )


def milliseconds_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _cut(text: str) -> str:
    return text[:HEADER_VALUE_MAX_CHARACTERS].replace("\x00", "\ufffd")
