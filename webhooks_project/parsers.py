"""Reads JSON bodies within limits, so that nothing which cannot be stored or sent again gets in."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

# Python's own bound on turning digits into a number.
INTEGER_MAX_DIGITS = 4000


class BodyTooLarge(APIException):
    status_code = 413
    default_detail = "The body is too large."
    default_code = "body_too_large"


class BoundedJSONParser(BaseParser):
    """Strict JSON (RFC 8259) of at most API_BODY_MAX_BYTES, nested at most API_JSON_MAX_DEPTH deep."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return parsed(stream.read(settings.API_BODY_MAX_BYTES + 1))


def parsed(raw: bytes) -> Any:
    """The value of a body. Raises BodyTooLarge (413) or ParseError (400)."""
    limit = settings.API_BODY_MAX_BYTES
    if len(raw) > limit:
        raise BodyTooLarge(f"The body may have at most {limit} bytes.")
    try:
        value = json.loads(
            raw.decode("utf-8"), parse_float=_finite, parse_int=_integer, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.", code="malformed_json") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise ParseError(f"The body is not valid JSON: {error}", code="malformed_json") from None
    if depth_exceeds(value, settings.API_JSON_MAX_DEPTH):
        raise _too_deep()
    return value


def depth_exceeds(value: Any, limit: int) -> bool:
    """Is anything in `value` nested deeper than `limit` levels? Walks level by level, without recursion."""
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text[:20]} is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > INTEGER_MAX_DIGITS:
        raise ValueError(f"a number has more than {INTEGER_MAX_DIGITS} digits")
    return int(text)


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _too_deep() -> ParseError:
    return ParseError(
        f"The body is nested deeper than {settings.API_JSON_MAX_DEPTH} levels.", code="nested_too_deep"
    )
