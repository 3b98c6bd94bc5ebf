"""How many retries may wait inside Celery: each is a message in some worker's memory."""

import heapq
import threading


class ShortWaits:
    """Says whether one more short wait may be a Celery retry; longer ones and the overflow are rows.

    Counts what this process has published. Any worker may hold those messages, but every worker
    publishes under the same bound, so the mean per worker stays below it.
    """

    def __init__(self, *, longest_seconds: float, most: int) -> None:
        self._longest_seconds = longest_seconds
        self._most = most
        self._ends: list[float] = []
        self._lock = threading.Lock()

    def take(self, delay_seconds: float, *, now: float) -> bool:
        """True: publish it as a Celery retry, it is counted until `now + delay_seconds` (monotonic)."""
        if delay_seconds > self._longest_seconds:
            return False
        with self._lock:
            while self._ends and self._ends[0] <= now:
                heapq.heappop(self._ends)
            if len(self._ends) >= self._most:
                return False
            heapq.heappush(self._ends, now + delay_seconds)
            return True
