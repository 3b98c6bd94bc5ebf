"""How far a command that takes long is, as a person sees it at a terminal."""

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import make_style

from delivery.management.long import ProgressLine


@contextmanager
def terminal(columns: int) -> Iterator[tuple[TextIO, int]]:
    """A terminal so wide, and where to read what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        with open(theirs, "w", encoding="utf-8") as stream:
            yield stream, ours
    finally:
        os.close(ours)


def read_line(shown: int) -> str:
    """What is there up to the end of a line: a terminal hands it out in pieces."""
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(shown, 1000)
    return text.decode()


def errors_of(stream: TextIO) -> OutputWrapper:
    """As a command's standard error: red, unless told otherwise."""
    wrapped = OutputWrapper(stream)
    wrapped.style_func = make_style("light").ERROR
    return wrapped


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (40, "\rdeleted 10 of 12\rdeleted 12      \r\n"),
        # Not one column more: the last one would wrap.
        (12, "\rdeleted 10 \rdeleted 12 \r\n"),
        (0, "\rdeleted 10 of 12\rdeleted 12      \r\n"),
    ],
)
def test_it_is_written_over_plainly_and_fits(columns: int, expected: str) -> None:
    with terminal(columns) as (stream, shown):
        line = ProgressLine(errors_of(stream))
        line.show("deleted 10 of 12")
        line.show("deleted 12")
        line.end()
        stream.flush()

        assert read_line(shown) == expected


def test_nothing_is_written_into_a_pipe_or_of_what_was_never_shown() -> None:
    piped = io.StringIO()
    line = ProgressLine(errors_of(piped))
    line.show("deleted 10 of 12")
    line.end()
    assert piped.getvalue() == ""

    with terminal(40) as (stream, shown):
        ProgressLine(errors_of(stream)).end()
        stream.write(".")
        stream.flush()
        assert os.read(shown, 1000) == b"."
