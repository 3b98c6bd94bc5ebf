"""What commands that take long have in common: Ctrl-C between two steps, and how long it still takes."""

import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from typing import Any

INTERRUPTED = 130


def duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def interruption() -> Iterator[Flag]:
    """Ctrl-C is noted, so that the numbers are those of what was committed; a second one ends at once."""
    noted = Flag()

    def note(*_: Any) -> None:
        noted.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
