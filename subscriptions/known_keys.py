"""API keys that were valid a moment ago: a busy caller is not looked up for every request.

Staleness: API_KEY_CACHE_SECONDS. For so long another process may still accept a key that was revoked,
and see its old scopes; the process that revokes it forgets it at once. Expiry is exact.
"""

from collections import OrderedDict
from threading import Lock
from time import monotonic

from django.conf import settings
from django.utils import timezone

from subscriptions.models import ApiKey

ENTRIES_MAX = 10_000  # about 3 KB each: 30 MB per process

_entries: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
_lock = Lock()


def valid_key(key_hash: str) -> ApiKey | None:
    """The key with its organization; None if there is none such, or it has expired or was revoked."""
    key = _kept(key_hash)
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


def _kept(key_hash: str) -> ApiKey | None:
    entry = _entries.get(key_hash)
    return entry[1] if entry is not None and monotonic() < entry[0] else None


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
        _entries[key.key_hash] = (monotonic() + settings.API_KEY_CACHE_SECONDS, key)
        _entries.move_to_end(key.key_hash)
        if len(_entries) > ENTRIES_MAX:
            _entries.popitem(last=False)
