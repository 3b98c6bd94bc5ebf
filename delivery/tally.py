"""What this process has done since it started, counted for its worker's row (delivery/presence.py)."""

import threading
from collections import Counter
from collections.abc import Mapping

#: wake-ups that the requeuer published
REQUEUED = "requeued"
#: claims of deliveries whose last holder let the lease end and recorded nothing
LEASES_TAKEN_OVER = "leases_taken_over"

_counts = Counter({REQUEUED: 0, LEASES_TAKEN_OVER: 0})
_lock = threading.Lock()


def add(what: str, number: int) -> None:
    if number:
        with _lock:
            _counts[what] += number


def counts() -> Mapping[str, int]:
    with _lock:
        return dict(_counts)
