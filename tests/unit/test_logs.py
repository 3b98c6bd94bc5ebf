"""Lines of the log for machines."""

import json
import logging
import sys
from typing import Any

from webhooks_project.logs import JsonLines


def line(message: str, *args: object, error: Any = None) -> dict[str, Any]:
    record = logging.LogRecord("delivery.requeue", logging.WARNING, "file.py", 1, message, args, error)
    text = JsonLines().format(record)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_line_says_when_how_grave_who_and_what() -> None:
    said = line("left to the %s: %d", "requeuer", 3)

    assert said.pop("time").endswith("+00:00")
    assert said == {"level": "WARNING", "logger": "delivery.requeue", "message": "left to the requeuer: 3"}


def test_no_text_keeps_a_line_from_being_written() -> None:
    assert line("no such path: %s", "/\udc80")["message"] == "no such path: /\udc80"


def test_an_exception_stays_on_its_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        said = line("failed", error=sys.exc_info())

    assert said["exception"].endswith("ValueError: first\nsecond")
