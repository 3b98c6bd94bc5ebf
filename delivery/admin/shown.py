"""Bodies and headers as texts for a page, always escaped: they come from strangers."""

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html

SHOWN_MAX_CHARACTERS = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class ShownText:
    """The beginning of a text, and how much there is of it."""

    text: str
    size: int
    is_cut: bool


def body(raw: bytes) -> ShownText:
    """The frozen bytes, laid out if they are JSON."""
    text = raw.decode("utf-8", errors="backslashreplace")
    with suppress(ValueError, RecursionError):
        text = pretty(json.loads(text))
    return ShownText(text=text[:SHOWN_MAX_CHARACTERS], size=len(raw), is_cut=len(text) > SHOWN_MAX_CHARACTERS)


def pretty(value: Any) -> str:
    """JSON for people; lone surrogates, which no page can carry, stay escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return text.encode("utf-8", errors="backslashreplace").decode()


def pairs(headers: Any) -> list[tuple[str, str]]:
    """Name and value. Templates must not be given the mapping: to them `.items` may be a header."""
    return [(str(name), str(value)) for name, value in headers.items()] if isinstance(headers, dict) else []


def preformatted(text: str) -> str:
    return format_html('<pre class="body">{}</pre>', text[:SHOWN_MAX_CHARACTERS])
