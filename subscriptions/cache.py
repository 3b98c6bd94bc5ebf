"""Receivers kept in a worker between deliveries.

Staleness: none. The claim of a delivery reads the subscription's current `version` in the same
statement, and an entry is used only for exactly that version; a change of the subscription or its
secrets raises it. What is bounded is memory: the least recently used entries go first.
"""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from subscriptions.snapshots import Receiver, of_subscription, of_subscriptions

# Each is 0.9 KB, and 2 KB once an answer had to be searched for its secrets: 40 MB per worker process. Its
# URL takes 0.6 KB more in the sender. If an event has more recipients, each event meets all of them anew.
ENTRIES_MAX = 20_000

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
    _keep(subscription_id, version, found)
    return found


def warm(versions: Mapping[int, int]) -> None:
    """Read together those that are not here at their version: an event to thousands needs each of them."""
    with _lock:
        missing = [id_ for id_, version in versions.items() if _entries.get(id_, (0,))[0] != version]
    if missing:
        for id_, (version, found) in of_subscriptions(missing).items():
            _keep(id_, version, found)


def _keep(subscription_id: int, version: int, found: Receiver) -> None:
    with _lock:
        _entries[subscription_id] = (version, found)
        _entries.move_to_end(subscription_id)
        while len(_entries) > ENTRIES_MAX:
            _entries.popitem(last=False)


def clear() -> None:
    with _lock:
        _entries.clear()
