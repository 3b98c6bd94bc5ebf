"""From a message to exact bytes: compact JSON, and the `standard` format."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from delivery.formats import Message, compact_json, render, seconds_z
from subscriptions.event_types import PayloadFormat

MESSAGE = Message(
    event_id="evt_1",
    event_type="invoice.paid",
    organization_id="org_1",
    source="",
    subject="",
    occurred_at=datetime(2026, 3, 1, 13, 0, 0, 5, tzinfo=timezone(timedelta(hours=1))),
    data={"b": 1, "a": [None, True, "ü"]},
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"b": 1, "a": 2}, b'{"b":1,"a":2}', id="keys keep their order"),
        pytest.param([1, "x", None, True, 1.5], b'[1,"x",null,true,1.5]', id="no blanks"),
        pytest.param({"n": "café ☕ 語"}, '{"n":"café ☕ 語"}'.encode(), id="non-ASCII as UTF-8"),
        pytest.param(
            {"n": '\x00\n\t"\\/'}, b'{"n":"\\u0000\\n\\t\\"\\\\/"}', id="control characters escaped"
        ),
        pytest.param({"n": "\ud83d"}, b'{"n":"\\ud83d"}', id="a lone surrogate escaped"),
        pytest.param({"\udc00": "é"}, b'{"\\udc00":"\\u00e9"}', id="in a key, with the rest of the body"),
        pytest.param(2**53 + 1, b"9007199254740993", id="an integer beyond 2^53"),
        pytest.param(10**40, b"1" + b"0" * 40, id="a big integer keeps every digit"),
        pytest.param(-0.0, b"-0.0", id="minus zero"),
        pytest.param(1e22, b"1e+22", id="a large float"),
        pytest.param("\u2028", '"\u2028"'.encode(), id="a line separator"),
        pytest.param({}, b"{}", id="empty"),
    ],
)
def test_compact_json(value: Any, expected: bytes) -> None:
    assert compact_json(value) == expected
    assert json.loads(expected) == value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_know_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        compact_json({"a": number})


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2025, 12, 21, 10, 30, tzinfo=UTC), "2025-12-21T10:30:00Z"),
        (datetime(2025, 12, 21, 10, 30, 59, 999_999, tzinfo=UTC), "2025-12-21T10:30:59Z"),
        (datetime(2025, 12, 21, 1, 0, tzinfo=timezone(timedelta(hours=2))), "2025-12-20T23:00:00Z"),
        (datetime(999, 1, 1, tzinfo=UTC), "0999-01-01T00:00:00Z"),
    ],
    ids=["whole", "fractions are cut", "another offset", "a year before 1000"],
)
def test_seconds_with_z(moment: datetime, expected: str) -> None:
    assert seconds_z(moment) == expected


def test_the_standard_format_is_type_timestamp_and_data() -> None:
    body = render(PayloadFormat.STANDARD, MESSAGE)

    assert (
        body
        == (
            '{"type":"invoice.paid","timestamp":"2026-03-01T12:00:00.000005Z","data":{"b":1,"a":[null,true,"ü"]}}'
        ).encode()
    )


def test_the_elan_envelope_of_a_custom_event_has_no_workflow() -> None:
    envelope = json.loads(render(PayloadFormat.ELAN_EVENT, MESSAGE))

    assert envelope["workflow_id"] is None
    assert envelope["event_type"] == "invoice.paid"


@pytest.mark.parametrize("payload_format", list(PayloadFormat))
def test_every_format_has_a_renderer(payload_format: PayloadFormat) -> None:
    from delivery.formats import _renderers

    assert payload_format in _renderers
