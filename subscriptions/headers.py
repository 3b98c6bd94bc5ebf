"""Facts about request headers: which names are whose, and which texts can break a request. Pure."""

import re
from collections.abc import Mapping

NAME_MAX_CHARACTERS = 255

# What frames the request and belongs to one hop (RFC 9110, 7.6.1, and RFC 9112). Nobody's text may
# set these: the HTTP library does.
FRAMING = frozenset(
    "host content-length transfer-encoding connection keep-alive proxy-connection proxy-authenticate "
    "proxy-authorization te trailer upgrade http2-settings expect".split()
)
# What the service says itself, signatures above all, and what must not be said in its name.
_RESERVED = FRAMING | frozenset(
    "accept-encoding cookie date forwarded max-forwards set-cookie user-agent via x-real-ip "
    "x-webhook-signature x-webhook-secret".split()
)
_RESERVED_PREFIXES = ("content-", "proxy-", "webhook-", "x-forwarded-", "x-skyvern-")

_NAME = re.compile(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]{{1,{NAME_MAX_CHARACTERS}}}")
_VALUE = re.compile(r"[\x20-\x7e]*")


def is_name(name: str) -> bool:
    """A token of RFC 9110: no blank, colon, control character or letter beyond ASCII."""
    return _NAME.fullmatch(name) is not None


def is_value(value: str) -> bool:
    """Printable ASCII: no line can end in it."""
    return _VALUE.fullmatch(value) is not None


def is_sent_whole(value: str) -> bool:
    """Does it arrive as it is? Blanks around a value are not part of it."""
    return is_value(value) and value == value.strip()


def is_reserved(name: str) -> bool:
    """Is it the service's to set?"""
    folded = _folded(name)
    return folded in _RESERVED or folded.startswith(_RESERVED_PREFIXES)


def _folded(name: str) -> str:
    """As receivers compare it: those that hand headers on as variables take `_` and `-` for the same."""
    return name.lower().replace("_", "-")


def cannot_be_sent(headers: Mapping[str, str]) -> bool:
    """Would one of them break the request, or change how it is framed?"""
    return any(
        not is_name(name) or _folded(name) in FRAMING or not is_value(value)
        for name, value in headers.items()
    )
