"""A total deadline over one exchange.

Time-outs of sockets are per read: a receiver that sends a byte now and then holds a request open
for as long as it likes. One watchdog thread per process shuts the socket of an exchange down when
its time is over, whatever the exchange is doing then.
"""

import contextlib
import heapq
import itertools
import socket
import threading
import time
from collections.abc import Iterator


class Deadline:
    """The end of one exchange; knows the socket that it has to cut."""

    def __init__(self, seconds: float) -> None:
        self.ends = time.monotonic() + seconds
        self.passed = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def remaining(self) -> float:
        return max(0.0, self.ends - time.monotonic())

    def watch(self, sock: socket.socket | None) -> None:
        """From now on this socket is the one to cut; at once if it is too late already."""
        with self._lock:
            self._socket = sock
            if self.passed:
                self._cut()

    def pass_(self) -> None:
        with self._lock:
            self.passed = True
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            # The base class's shutdown: that of an SSL socket would drop the TLS state under the
            # thread which reads from it.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class Watchdog:
    """Lets deadlines pass, on a thread of its own that starts with the first one."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Deadline]] = []
        self._counter = itertools.count()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def enforce(self, deadline: Deadline) -> Iterator[Deadline]:
        with self._condition:
            heapq.heappush(self._heap, (deadline.ends, next(self._counter), deadline))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadline-watchdog", daemon=True)
                self._thread.start()
            elif self._heap[0][2] is deadline:
                self._condition.notify()
        try:
            yield deadline
        finally:
            # The entry stays in the heap until its time, holding no socket: a push and a pop per
            # request cost less than searching the heap.
            deadline.watch(None)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._heap:
                    self._condition.wait()
                ends, _, deadline = self._heap[0]
                wait = ends - time.monotonic()
                if wait > 0:
                    self._condition.wait(wait)
                    continue
                heapq.heappop(self._heap)
            deadline.pass_()
