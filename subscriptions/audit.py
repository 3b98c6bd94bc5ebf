"""Who changed what: each service that people call writes an entry in the transaction of its change.

So the API, the admin and commands leave the same entries, and none where the change rolls back. Who
acts is a context variable: set for a request by `subscriptions/middleware.py` and the API's
authentication, for a command by `subscriptions/management/audited.py`; else it is the service.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection

from subscriptions.audit_entry import NAME_MAX_CHARACTERS, OBJECT_ID_MAX_CHARACTERS, ActorKind, AuditEntry
from subscriptions.models import Organization

VALUE_MAX_CHARACTERS = 2_000
MASK = "***"
# Of these an entry tells only that they were set, changed or removed.
SECRETS = frozenset({"secret", "signing_secret", "key", "password", "url_query"})
# Of these the names only.
HEADERS = frozenset({"headers"})


@dataclass(frozen=True)
class Actor:
    """Somebody who changes something."""

    kind: ActorKind
    name: str
    remote_address: str | None = None


SERVICE = Actor(ActorKind.SERVICE, "service")

# Asked only when there is something to note: finding out who is logged in costs statements.
_who: ContextVar[Callable[[], Actor]] = ContextVar("audit_actor", default=lambda: SERVICE)


@contextmanager
def acting(who: Callable[[], Actor]) -> Iterator[None]:
    """Inside, changes are `who`'s, unless `now_acting` names somebody else."""
    token = _who.set(who)
    try:
        yield
    finally:
        _who.reset(token)


def now_acting(actor: Actor) -> None:
    """From now on it is this one, until the surrounding `acting` ends: threads serve many requests."""
    _who.set(lambda: actor)


def account(user: AbstractBaseUser) -> str:
    """A user in an entry. The name alone may be another's later; no name has a space or a parenthesis."""
    key = f" (#{user.pk})"
    return user.get_username()[: OBJECT_ID_MAX_CHARACTERS - len(key)] + key


def record(
    action: str,
    object_id: object,
    *,
    organization: Organization | int | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Note one change; `before` and `after` hold the fields that it is about."""
    record_all(action, [(object_id, organization)], before=before, after=after)


def record_all(
    action: str,
    objects: Iterable[tuple[object, Organization | int | None]],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """The same for several objects, each with its organization, in one statement."""
    assert connection.in_atomic_block, "an entry belongs to the transaction of its change"
    actor = _who.get()()
    facts = {
        "actor_kind": actor.kind,
        "actor": actor.name[:NAME_MAX_CHARACTERS],
        "remote_address": actor.remote_address,
        "action": action,
        "before": {name: shown(name, value) for name, value in (before or {}).items()},
        "after": {name: shown(name, value) for name, value in (after or {}).items()},
    }
    AuditEntry.objects.bulk_create(
        AuditEntry(
            object_id=str(id_),
            organization_id=owner.pk if isinstance(owner, Organization) else owner,
            **facts,
        )
        for id_, owner in objects
    )


def record_change(
    action: str,
    object_id: object,
    *,
    organization: Organization | int | None,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Note what differs; nothing where nothing does. A field that is only in `after` counts as changed."""
    changed = [name for name in after if name not in before or before[name] != after[name]]
    if changed:
        record(
            action,
            object_id,
            organization=organization,
            before={name: before[name] for name in changed if name in before},
            after={name: after[name] for name in changed},
        )


def shown(field: str, value: Any) -> Any:
    """What an entry keeps of a field: the one place that decides it.

    JSON of callers is kept as text: PostgreSQL's jsonb refuses escaped NULs and lone surrogates.
    """
    if field in SECRETS:
        return MASK if value else None
    if field in HEADERS:
        return dict.fromkeys(sorted(value or {}), MASK)
    if value is None or isinstance(value, bool | int | float | datetime):
        return value
    if isinstance(value, str):
        return cut(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        whole = list(value)
        return whole if len(json.dumps(whole)) <= VALUE_MAX_CHARACTERS else cut(json.dumps(whole))
    return cut(json.dumps(value, default=str))


def cut(text: str) -> str:
    return text if len(text) <= VALUE_MAX_CHARACTERS else f"{text[:VALUE_MAX_CHARACTERS]}…"
