"""Lines of the log for machines: `LOG_FORMAT=json`."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

import orjson


class JsonLines(logging.Formatter):
    """An object per line. A message with `fields` of its own is spread out, any other is a text."""

    def format(self, record: logging.LogRecord) -> str:
        said: Any = record.msg
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
        }
        line |= said.fields() if hasattr(said, "fields") else {"message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:
            # Of a text that is no text (a lone surrogate), or a number beyond 64 bits.
            return json.dumps(line, default=str)
