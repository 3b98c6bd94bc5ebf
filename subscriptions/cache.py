"""Receivers kept in a worker between deliveries.

Staleness: none. The claim of a delivery reads the subscription's current `version` in the same
statement, and an entry is used only for exactly that version; a change of the subscription or its
secrets raises it. What is bounded is memory: the least recently used entries go first.
"""

from collections import OrderedDict
from threading import Lock

from subscriptions.snapshots import Receiver, of_subscription

ENTRIES_MAX = 10_000  # about 1 KB each: 10 MB per worker process

_entries: OrderedDict[int, tuple[int, Receiver]] = OrderedDict()
_lock = Lock()


def receiver(subscription_id: int, version: int) -> Receiver | None:
    """The receiver at that version, read from the database at most once per version and process."""
    with _lock:
        entry = _entries.get(subscription_id)
        if entry is not None and entry[0] == version:
            _entries.move_to_end(subscription_id)
            return entry[1]
    found = of_subscription(subscription_id)
    if found is None:
        return None
    with _lock:
        _entries[subscription_id] = (version, found)
        _entries.move_to_end(subscription_id)
        while len(_entries) > ENTRIES_MAX:
            _entries.popitem(last=False)
    return found


def clear() -> None:
    with _lock:
        _entries.clear()
