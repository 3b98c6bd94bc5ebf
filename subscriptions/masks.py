"""What people and logs see of a secret: nothing. Pure.

A URL is shown with the values of its query masked; a path is shown as it is, for nothing tells a
token in a path from a name. What a receiver sends back is searched for secrets in each form in
which programs usually write them.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from subscriptions.keys import PRIVATE_PREFIX, STANDARD_PREFIX

MASKED = "***"
# Shorter ones guard nothing, and would blot out half of any text.
ECHO_MIN_CHARACTERS = 4
# A part of a header's value, such as the token after `Bearer`.
PART_MIN_CHARACTERS = 8
KEY_PREFIXES = (STANDARD_PREFIX, PRIVATE_PREFIX)
# Of base64 those that hold nothing but the 32 bytes of a seed, but for its last bits.
SEED_CHARACTERS = 42

_ESCAPE = re.compile(r"%[0-9A-F]{2}")
# What no program writes in another way, in JSON or in a URL.
_SAME_EVERYWHERE = re.compile(r"[\w.~-]*", re.ASCII)
_URL_SAFE = str.maketrans("+/", "-_")
_USER = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*@")


def shown_url(url: str) -> str:
    """`https://host/path?token=***`: names of parameters stay, values do not. Never raises."""
    head, hash_, _ = url.partition("#")
    head, mark, query = head.partition("?")
    head = _USER.sub(lambda found: f"{found[1] or ''}//{MASKED}@", head)
    return head + mark + "&".join(map(_shown_parameter, query.split("&"))) + (hash_ and hash_ + MASKED)


def _shown_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if equals:
        return name + equals + (value and MASKED)
    # A parameter without a name may be a token.
    return parameter and MASKED


def is_masked(url: str) -> bool:
    """Was it copied from a place where values are masked? Nobody's token is three stars."""
    return any(parameter.split("=", 1)[-1] == MASKED for parameter in _parameters(url))


def secrets_of_url(url: str) -> list[str]:
    """The values of its query, as they stand there and as they are meant; very short ones (`1`) are none."""
    values = (parameter.split("=", 1)[-1] for parameter in _parameters(url))
    return [t for value in values if len(value) >= ECHO_MIN_CHARACTERS for t in (value, unquote_plus(value))]


def _parameters(url: str) -> list[str]:
    query = url.partition("#")[0].partition("?")[2]
    return [parameter for parameter in query.split("&") if parameter]


def forms_of(texts: Iterable[str]) -> tuple[str, ...]:
    """What to look for where these secrets may come back; the longest first.

    So that a part of one does not hide the rest of it from the search.
    """
    return tuple(sorted({form for text in texts for form in _all_forms(text)}, key=len, reverse=True))


# Callbacks of one workflow share their secrets, and spelling one out costs a third of a millisecond.
@lru_cache(maxsize=4096)
def _all_forms(text: str) -> frozenset[str]:
    # Parts that are alike are spelled out once.
    forms = (form for part in dict.fromkeys(_parts(text)) for form in _forms(part))
    return frozenset(form for form in forms if len(form) >= ECHO_MIN_CHARACTERS)


def _parts(text: str) -> Iterable[str]:
    """The secret, and what of it is one as well."""
    yield text
    for prefix in KEY_PREFIXES:
        if text.startswith(prefix):
            key = text.removeprefix(prefix)
            # Of an ed25519 pair the first half is the seed, all that anyone needs.
            yield from (key, key.rstrip("="), key[:SEED_CHARACTERS])
    words = text.split()
    if len(words) > 1:
        yield from (word for word in words if len(word) >= PART_MIN_CHARACTERS)


def _forms(text: str) -> Iterable[str]:
    if len(text) < ECHO_MIN_CHARACTERS:
        return
    yield text
    if not _SAME_EVERYWHERE.fullmatch(text):
        yield json.dumps(text)[1:-1]
        for quoted in _quoted(text):
            yield from (quoted, _ESCAPE.sub(lambda found: found[0].lower(), quoted))
    yield from _base64_forms(text.encode(errors="surrogatepass"))


def _quoted(text: str) -> Iterable[str]:
    """As URLs hold it; they differ in blanks and slashes only."""
    yield (whole := quote(text, safe=""))
    if "/" in text:
        yield quote(text)
    if " " in text:
        yield whole.replace("%20", "+")


def _base64_forms(raw: bytes) -> Iterable[str]:
    """Its base64 wherever it may begin in a longer text: the letters that depend on nothing else."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw)
        whole = 4 * ((before + len(raw)) // 3)
        certain = encoded[4 if before else 0 : whole].decode()
        # Three letters would be found in any text.
        if len(certain) >= PART_MIN_CHARACTERS:
            yield from (certain, certain.translate(_URL_SAFE))


def without(text: str, forms: Sequence[str]) -> str:
    """The text without the secrets' forms, and without the beginning of one that was cut off at its end."""
    for form in forms:
        text = text.replace(form, MASKED)
    return _without_cut_end(text, forms)


def _without_cut_end(text: str, forms: Sequence[str]) -> str:
    end, cut = text[-ECHO_MIN_CHARACTERS:], 0
    if len(end) < ECHO_MIN_CHARACTERS:
        return text
    for form in forms:
        at = form.find(end)
        while at >= 0:
            length = at + ECHO_MIN_CHARACTERS
            if length > cut and text.endswith(form[:length]):
                cut = length
            at = form.find(end, at + 1)
    return text[:-cut] + MASKED if cut else text
