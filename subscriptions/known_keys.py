"""API keys that were valid a moment ago: a busy caller is not looked up for every request.

Staleness: API_KEY_CACHE_SECONDS. For so long another process may still accept a key that was revoked,
and see its old scopes; the process that revokes it forgets it at once. Expiry is exact.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from django.conf import settings
from django.utils import timezone

from subscriptions.models import ApiKey

ENTRIES_MAX = 10_000  # about 3 KB each: 30 MB per process


@dataclass
class Entry:
    """Times are monotonic seconds."""

    key: ApiKey
    until: float
    #: from then on one caller looks it up, while the others still go by what is kept
    again_at: float


_entries: OrderedDict[str, Entry] = OrderedDict()
_lock = Lock()


def valid_key(key_hash: str) -> ApiKey | None:
    """The key with its organization; None if there is none such, or it has expired or was revoked."""
    key = _kept(key_hash, for_lookup=True)
    if key is None:
        found = (
            ApiKey.objects.select_related("organization").filter(key_hash=key_hash, revoked_at=None).first()
        )
        if found is None:
            forget(key_hash)
            return None
        key = found
        _remember(key)
    return None if _has_expired(key) else key


def kept_key(key_hash: str) -> ApiKey | None:
    """The same if it was asked a moment ago, without asking the database: None says nothing of the key."""
    key = _kept(key_hash)
    return None if key is None or _has_expired(key) else key


def _kept(key_hash: str, *, for_lookup: bool = False) -> ApiKey | None:
    entry, now = _entries.get(key_hash), monotonic()
    if entry is None or now >= entry.until:
        return None
    if now >= entry.again_at:
        if for_lookup:
            entry.again_at = entry.until
        return None
    return entry.key


def _has_expired(key: ApiKey) -> bool:
    return key.expires_at is not None and key.expires_at <= timezone.now()


def forget(key_hash: str) -> None:
    with _lock:
        _entries.pop(key_hash, None)


def clear() -> None:
    with _lock:
        _entries.clear()


def _remember(key: ApiKey) -> None:
    if not settings.API_KEY_CACHE_SECONDS:
        return
    with _lock:
        now, seconds = monotonic(), settings.API_KEY_CACHE_SECONDS
        _entries[key.key_hash] = Entry(key, until=now + seconds, again_at=now + seconds / 2)
        _entries.move_to_end(key.key_hash)
        if len(_entries) > ENTRIES_MAX:
            _entries.popitem(last=False)
