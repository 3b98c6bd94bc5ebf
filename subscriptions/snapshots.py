"""The frozen read model of a receiver that a worker signs and sends with."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Q

from subscriptions import masks, secrets
from subscriptions.models import ApiKey, SigningSecret
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

# One statement sees one moment: the row, its version and its secrets belong together.
READ = Statement(
    "runhooks_receivers",
    """
SELECT s.*, k.kinds, k.tokens, k.ends
FROM unnest(%(ids)s::bigint[]) AS asked (id)
-- One by one from the index, whatever the statistics say.
CROSS JOIN LATERAL (
    SELECT id, version, url, encrypted_url, signature_schemes, retry_policy, retry_schedule, timeout_seconds,
           encrypted_headers, rate_limit_per_second
    FROM subscriptions_subscription WHERE id = asked.id AND deleted_at IS NULL LIMIT 1) AS s
CROSS JOIN LATERAL (
    SELECT array_agg(kind ORDER BY id DESC) AS kinds, array_agg(encrypted_secret ORDER BY id DESC) AS tokens,
           array_agg(expires_at ORDER BY id DESC) AS ends
    FROM subscriptions_signingsecret WHERE subscription_id = s.id) AS k
""",
)


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """One decrypted secret; `text` never leaves the process except as a signature."""

    kind: str
    text: str
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"SigningKey(kind={self.kind!r})"


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where and how to send: of a subscription, or of one run's callback."""

    url: str
    signature_schemes: tuple[str, ...]
    retry_policy: str
    retry_schedule: tuple[float, ...] | None
    timeout_seconds: float
    headers: tuple[tuple[str, str], ...]
    keys: tuple[SigningKey, ...]
    #: of a callback signed with the API key that created the run
    api_key: str | None = None
    #: of a subscription; None: no limit
    rate_limit_per_second: float | None = None

    def signing_keys(self, kind: str, now: datetime) -> list[str]:
        """The secrets of `kind` in force at `now`, newest first."""
        return [
            key.text
            for key in self.keys
            if key.kind == kind and (key.expires_at is None or key.expires_at > now)
        ]

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """What an answer must not bring into the log (`masks.without`)."""
        given = [value for _, value in self.headers] + [key.text for key in self.keys]
        api_key = [] if self.api_key is None else [self.api_key]
        return masks.forms_of([*given, *api_key, *masks.secrets_of_url(self.url)])

    @property
    def shown_url(self) -> str:
        return masks.shown_url(self.url)

    def __repr__(self) -> str:
        return f"Receiver(url={self.shown_url!r})"


def of_subscription(subscription_id: int) -> Receiver | None:
    """The receiver with its keys, all as of one moment; None for a subscription that is gone."""
    return next(map(_receiver, _read([subscription_id])), None)


def of_subscriptions(subscription_ids: Iterable[int]) -> dict[int, tuple[int, Receiver]]:
    """The same for many in one statement, each with its version.

    What is gone or cannot be decrypted is missing: read alone it says which.
    """
    found = {}
    for row in _read(subscription_ids):
        with suppress(secrets.UndecryptableSecret):
            found[row["id"]] = row["version"], _receiver(row)
    return found


def _read(subscription_ids: Iterable[int]) -> list[dict[str, Any]]:
    # Without the ORM, which takes as long as all the rest: an event may have thousands of recipients.
    return READ.run({"ids": array(subscription_ids)})


def _receiver(row: Mapping[str, Any]) -> Receiver:
    schedule = row["retry_schedule"]
    return Receiver(
        url=secrets.opened_url(row["url"], row["encrypted_url"]),
        signature_schemes=tuple(row["signature_schemes"]),
        retry_policy=row["retry_policy"],
        retry_schedule=None if schedule is None else tuple(schedule),
        timeout_seconds=row["timeout_seconds"] or settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS,
        headers=tuple(secrets.decrypt_headers(row["encrypted_headers"]).items()),
        keys=_opened(zip(row["kinds"] or (), row["tokens"] or (), row["ends"] or (), strict=True)),
        rate_limit_per_second=row["rate_limit_per_second"],
    )


def callback_keys(organization_id: int, workflow_id: str) -> tuple[SigningKey, ...]:
    """Keys that sign a callback: of each kind the workflow's, or else the organization's."""
    owned = Q(organization_id=organization_id, subscription=None, workflow_id__in={workflow_id, ""})
    rows = list(SigningSecret.objects.filter(owned).order_by("-id"))
    own_kinds = {row.kind for row in rows if row.workflow_id}
    return _opened(
        (row.kind, row.encrypted_secret, row.expires_at)
        for row in rows
        if row.workflow_id or row.kind not in own_kinds
    )


def signing_api_key(api_key_id: int | None) -> str | None:
    """The text of an API key that signs; None for one that is gone or revoked.

    One that has expired since still signs what it started: expiry ends what a caller may ask for,
    and the receiver of a run that took longer can still verify. Distrust is said by revoking.
    """
    if api_key_id is None:
        return None
    key = ApiKey.objects.filter(pk=api_key_id, signs=True, revoked_at=None).first()
    return None if key is None else secrets.decrypt(key.encrypted_key)


def _opened(rows: Iterable[tuple[str, str, datetime | None]]) -> tuple[SigningKey, ...]:
    return tuple(
        SigningKey(kind=kind, text=secrets.decrypt(token), expires_at=expires_at)
        for kind, token, expires_at in rows
    )
