"""Where the time of a request went. Pure but for the monotonic clock.

A request goes through its phases one after the other, so one clock per request is enough: whoever begins a
phase ends the one before. A connection that was kept has no look-up, no connecting and no TLS.
"""

from time import monotonic_ns
from typing import NamedTuple

DNS, CONNECT, TLS = range(3)


class Phases(NamedTuple):
    """Microseconds; None: this request did not come by it."""

    dns: int | None
    connect: int | None
    tls: int | None
    #: from the request to the head of its answer
    wait: int | None
    read: int | None

    def __str__(self) -> str:
        """For the log: `wait:12.1,read:0.2`, in milliseconds."""
        return ",".join(f"{name}:{spent / 1000:.1f}" for name, spent in self.measured())

    def measured(self) -> list[tuple[str, int]]:
        return [(name, spent) for name, spent in zip(self._fields, self, strict=True) if spent is not None]

    def as_array(self) -> str:
        """As PostgreSQL writes an array."""
        return "{" + ",".join(["NULL" if spent is None else str(spent) for spent in self]) + "}"


class PhaseClock:
    """Of one request. Its phases may begin on several threads, but never two at once."""

    __slots__ = ("_opening", "answered_at", "sent_at")

    def __init__(self) -> None:
        self._opening: list[tuple[int | None, int]] | None = None
        # By `monotonic_ns`; 0: not yet. Set from outside: a call would cost each request more than this.
        self.sent_at = 0
        self.answered_at = 0

    def begin(self, phase: int) -> None:
        """DNS, CONNECT or TLS, of a connection that opens; what went on until now is over."""
        self._mark(phase)

    def end(self) -> None:
        self._mark(None)

    def forget(self, phase: int) -> None:
        """It turned out that there was none."""
        self._opening = [(None if which == phase else which, at) for which, at in self._opening or ()]

    def phases(self) -> Phases | None:
        """All until now; None if nothing has begun."""
        now = monotonic_ns()
        wait = read = None
        if self.sent_at:
            wait = ((self.answered_at or now) - self.sent_at) // 1000
            read = (now - self.answered_at) // 1000 if self.answered_at else None
        if self._opening is None:
            return None if wait is None else Phases(None, None, None, wait, read)
        spent: list[int | None] = [None, None, None]
        until = self.sent_at or now
        for phase, since in reversed(self._opening):
            if phase is not None:
                # Several addresses are connected to one after the other.
                spent[phase] = (spent[phase] or 0) + (until - since) // 1000
            until = since
        dns, connect, tls = spent
        return Phases(dns, connect, tls, wait, read)

    def _mark(self, phase: int | None) -> None:
        if self._opening is None:
            self._opening = []
        self._opening.append((phase, monotonic_ns()))
