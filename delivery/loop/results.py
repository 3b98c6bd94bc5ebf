"""Hands what the engine has done to the task that Celery's tracer is about to run in this thread."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from delivery.deliver import Again


class _Here(threading.local):
    is_set = False
    result: Again | Exception | None = None


_here = _Here()


@contextmanager
def at_hand(result: Again | Exception | None) -> Iterator[None]:
    """While this lasts, the delivery task in this thread takes `result` instead of making an attempt."""
    _here.is_set, _here.result = True, result
    try:
        yield
    finally:
        _here.is_set, _here.result = False, None


def is_at_hand() -> bool:
    return _here.is_set


def take() -> Again | None:
    """The result; raises it if it is a fault."""
    if isinstance(_here.result, Exception):
        raise _here.result
    return _here.result
