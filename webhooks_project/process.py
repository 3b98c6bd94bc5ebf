"""What each process has one of."""

import os
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class OfProcess(Generic[Thing]):
    """Made on first use, whichever thread comes first; call it to have it.

    A forked child makes another: threads do not survive a fork, sockets are the parent's, and a lock that
    another thread held would be held for ever.
    """

    _made: Thing | None
    _lock: Lock

    def __init__(self, make: Callable[[], Thing]) -> None:
        self._make = make
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def __call__(self) -> Thing:
        made = self._made
        if made is not None:
            return made
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def if_made(self) -> Thing | None:
        """For whoever ends it: not made only to be ended."""
        return self._made

    def _begin(self) -> None:
        self._made = None
        self._lock = Lock()
