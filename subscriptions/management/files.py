"""What commands are given as a file."""

import sys

from django.core.management.base import CommandError


def text_of(file: str) -> str:
    """What stands in it; `-` is standard input. Raises CommandError."""
    try:
        if file == "-":
            return sys.stdin.read()
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{file}: it is not UTF-8") from None
