"""What commands are given as a file."""

import sys

from django.core.management.base import CommandError

# What some editors put at the beginning of a file; it is none of its text.
MARK = "\ufeff"


def text_of(file: str) -> str:
    """What stands in it; `-` is standard input. Raises CommandError."""
    try:
        if file == "-":
            return sys.stdin.read().removeprefix(MARK)
        with open(file, encoding="utf-8") as opened:
            return opened.read().removeprefix(MARK)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file}: it is not UTF-8") from None
