"""Bodies of requests: strict JSON within limits."""

import io
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.exceptions import APIException, ParseError

from webhooks_project.parsers import BodyTooLarge, BoundedJSONParser, depth_exceeds


def parse(raw: bytes) -> Any:
    return BoundedJSONParser().parse(io.BytesIO(raw), "application/json", {})


def refusal(raw: bytes) -> tuple[int, str]:
    with pytest.raises(APIException) as refused:
        parse(raw)
    codes = refused.value.get_codes()
    assert isinstance(codes, str)
    return refused.value.status_code, codes


def nested(levels: int) -> bytes:
    return b"[" * levels + b"1" + b"]" * levels


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"b": 1, "a": [null, true, 1.5, "x"]}', {"b": 1, "a": [None, True, 1.5, "x"]}),
        (b"null", None),
        (b' "x"\n', "x"),
        ('"café ☕"'.encode(), "café ☕"),
        (b'"\\u0000\\ud800"', "\x00\ud800"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
    ids=[
        *("object", "null", "text", "UTF-8", "escapes", "big integer", "large float", "tiny float"),
        "of repeated keys the last counts",
    ],
)
def test_json_is_read(raw: bytes, value: Any) -> None:
    assert parse(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b" ", b"{", b"}", b'{"a":}', b'{"a":1,}', b"[1,]", b"{'a':1}", b"{a:1}", b"tru", b"nul"),
        *(b"01", b"1.", b".5", b"+1", b"0x1", b'"\n"', b'"\x00"', b'"\\x"', b'"\\u12"', b'"open', b"{}{}"),
        *(b"NaN", b"Infinity", b"-Infinity", b'{"a": NaN}', b"1e400", b"-1e400", b"[1, 1e999]"),
        *(
            b"\xff",
            b'"\xff"',
            b'"\xc0\x80"',
            b'"\xed\xa0\x80"',
            b"\xef\xbb\xbf{}",
            '{"a":1}'.encode("utf-16"),
        ),
        *(b"9" * 5000, b"// {}", b"{} //", b"\x00", b"\x1f\x8b\x08\x00"),
    ],
    ids=lambda raw: repr(raw)[:30],
)
def test_what_is_not_json_is_refused_as_malformed(raw: bytes) -> None:
    assert refusal(raw) == (400, "malformed_json")


def test_a_body_of_exactly_the_limit_is_read(settings: Settings) -> None:
    settings.API_BODY_MAX_BYTES = 1024

    assert parse(b'"' + b"x" * 1022 + b'"') == "x" * 1022


def test_a_larger_body_is_refused_without_reading_all_of_it(settings: Settings) -> None:
    settings.API_BODY_MAX_BYTES = 1024
    stream = io.BytesIO(b"x" * 1_000_000)

    with pytest.raises(BodyTooLarge) as refused:
        BoundedJSONParser().parse(stream)

    assert refused.value.status_code == 413
    assert stream.tell() <= 1025


def test_64_levels_are_read() -> None:
    assert parse(nested(64)) is not None


@pytest.mark.parametrize(
    "raw",
    [
        *(nested(66), nested(900), nested(100_000), b"[" * 100_000),
        *(b'{"a":' * 66 + b"1" + b"}" * 66, b'{"a":' * 100_000),
    ],
    ids=["66 lists", "900", "100,000", "100,000 open", "66 objects", "100,000 open objects"],
)
def test_deeper_bodies_are_refused(raw: bytes) -> None:
    status, code = refusal(raw)

    assert status == 400
    assert code in ("nested_too_deep", "malformed_json")


@pytest.mark.parametrize(
    ("value", "limit", "exceeds"),
    [
        (1, 1, False),
        ([1], 1, False),
        ([[1]], 1, True),
        ({"a": {"b": 1}}, 2, False),
        ({"a": [{"b": 1}]}, 2, True),
    ],
)
def test_depth(value: Any, limit: int, exceeds: bool) -> None:
    assert depth_exceeds(value, limit) is exceeds


def test_a_refusal_does_not_repeat_the_body() -> None:
    with pytest.raises(ParseError) as refused:
        parse(b'{"secret": "hush", oops}')

    assert "hush" not in str(refused.value.detail)
