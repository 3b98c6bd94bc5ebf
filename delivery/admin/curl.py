"""A delivery's request as a line for a shell. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from subscriptions.masks import MASKED

# A page shows no more of a body; Linux takes an argument of twice that.
ARGUMENT_MAX_BYTES = 64 * 1024
# Besides these a body has nothing that a terminal might act upon when it is pasted.
PLAIN_CONTROLS = frozenset("\n")


@dataclass(frozen=True, kw_only=True)
class CurlCommand:
    text: str
    #: headers whose values are not on record
    left_out: list[str]
    #: the body has to be saved under this name first; empty: it is in the line
    file_name: str


def command(*, url: str, headers: Sequence[tuple[str, str]], body: bytes, file_name: str) -> CurlCommand:
    """Exactly these bytes, in whatever way they have to be quoted."""
    known = [(name, value) for name, value in headers if value != MASKED]
    # --globoff: brackets in the URL are no pattern. --data-raw: an `@` at the beginning is no file.
    inline = _inline(body)
    parts = [f"curl --globoff --request POST {shlex.quote(url)}"]
    parts += [f"--header {shlex.quote(f'{name}: {value}')}" for name, value in known]
    parts.append(f"--data-raw {inline}" if inline is not None else f"--data-binary @{file_name}")
    return CurlCommand(
        text=" \\\n  ".join(parts),
        left_out=[name for name, value in headers if value == MASKED],
        file_name="" if inline is not None else file_name,
    )


def _inline(body: bytes) -> str | None:
    """The body as one quoted argument, or None where a file is safer."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if any(ord(character) < 32 or ord(character) == 127 for character in set(text) - PLAIN_CONTROLS):
        return None
    quoted = shlex.quote(text)
    return quoted if len(quoted.encode()) <= ARGUMENT_MAX_BYTES else None
