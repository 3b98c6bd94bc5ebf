"""What commands that take long have in common: Ctrl-C between two steps, progress, the time that is left."""

import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from typing import Any

from django.core.management.base import OutputWrapper

INTERRUPTED = 130
# Where a terminal does not say how wide it is.
COLUMNS = 80


def duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def interruption(*signals: signal.Signals) -> Iterator[Flag]:
    """Ctrl-C, or these signals, are noted, so that the numbers are those of what was committed; one that
    comes again ends at once. What is ignored, as by nohup, stays so."""
    noted = Flag()
    wanted = signals or (signal.SIGINT,)
    before = {one: then for one in wanted if (then := signal.getsignal(one)) is not signal.SIG_IGN}

    def note(number: int, _: Any) -> None:
        noted.set()
        signal.signal(number, before[signal.Signals(number)])

    try:
        for one in before:
            signal.signal(one, note)
        yield noted
    finally:
        for one, then in before.items():
            signal.signal(one, then)


class ProgressLine:
    """A line that is written over and over on a terminal; nothing is written elsewhere."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._shown = 0
        self.is_seen = stream.isatty()

    def show(self, text: str) -> None:
        if self.is_seen:
            # What is wider would wrap, and leave a line behind each time; what is shorter must cover all of
            # the one before.
            text = text[: self._columns() - 1]
            self._write(f"\r{text:<{min(self._shown, self._columns() - 1)}}", "")
            self._shown = len(text)

    def end(self) -> None:
        if self._shown:
            self._write("", "\n")

    def _write(self, text: str, ending: str) -> None:
        # `str` is plain: what goes to standard error is red otherwise.
        self._stream.write(text, str, ending)

    def _columns(self) -> int:
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        return columns if columns > 1 else COLUMNS
