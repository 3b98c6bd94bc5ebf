"""Payload formats: from a message to exact bytes.

This app knows only the generic shape; the layer above registers the formats of the source systems,
and an example to send as a test, when Django starts.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from subscriptions.event_types import PayloadFormat


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is to be told, before it has a format."""

    event_id: str
    event_type: str
    organization_id: str
    #: the id of where it comes from (a workflow) and of what it is about (a run); empty for neither
    source: str
    subject: str
    occurred_at: datetime
    #: the generic shape, for formats that can carry every event
    data: Mapping[str, Any]
    #: what the registered renderers of the layer above need; this app never looks inside
    detail: Any = field(default=None, repr=False)


Renderer = Callable[[Message], bytes]
Example = Callable[[str], tuple[Mapping[str, Any], Any]]

_renderers: dict[str, Renderer] = {}
_examples: list[Example] = []


def register(payload_format: PayloadFormat, renderer: Renderer) -> None:
    _renderers[payload_format] = renderer


def register_example(example: Example) -> None:
    """`example(source)` gives the data and detail of a made-up event, for test deliveries."""
    _examples[:] = [example]


def render(payload_format: str, message: Message) -> bytes:
    return _renderers[payload_format](message)


def example(source: str) -> tuple[Mapping[str, Any], Any]:
    return _examples[0](source)


def compact_json(value: Any) -> bytes:
    """JSON without blanks in UTF-8, keys in the order given.

    A lone surrogate, which JSON can write but UTF-8 cannot, is escaped (with all other non-ASCII
    characters of that body), so every text that came in can go out.
    """
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()


def seconds_z(moment: datetime) -> str:
    """`2025-12-21T10:30:00Z`: whole seconds, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def microseconds_z(moment: datetime) -> str:
    """`2025-12-21T10:30:00.000000Z`: six fractional digits, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _standard(message: Message) -> bytes:
    """The body that Standard Webhooks recommends: type, timestamp, data."""
    timestamp = microseconds_z(message.occurred_at)
    return compact_json({"type": message.event_type, "timestamp": timestamp, "data": dict(message.data)})


register(PayloadFormat.STANDARD, _standard)
