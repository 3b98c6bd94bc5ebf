"""The frozen read model of a receiver that a worker signs and sends with."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.conf import settings
from django.db.models import Q

from subscriptions import masks, secrets
from subscriptions.models import ApiKey, SigningSecret, Subscription

# The columns of a subscription that a receiver is made of.
_READ = (
    "version url encrypted_url signature_schemes retry_policy retry_schedule timeout_seconds "
    "encrypted_headers rate_limit_per_second"
).split()


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
    """Read the receiver with its keys, all as of one moment; None for a subscription that is gone."""
    while True:
        subscription = Subscription.objects.filter(pk=subscription_id, deleted_at=None).first()
        if subscription is None:
            return None
        receiver = _receiver(subscription, _secrets_of([subscription_id]))
        # Every change of it and of its secrets raises the version: unchanged, they belong together.
        if Subscription.objects.filter(pk=subscription_id, version=subscription.version).exists():
            return receiver


def of_subscriptions(subscription_ids: Collection[int]) -> dict[int, tuple[int, Receiver]]:
    """The same for many in as many statements, each with its version.

    What is gone, changes at this moment or cannot be decrypted is missing: read alone it says which.
    """
    own: dict[int | None, list[SigningSecret]] = defaultdict(list)
    rows = list(Subscription.objects.filter(pk__in=subscription_ids, deleted_at=None).only(*_READ))
    for secret in _secrets_of(subscription_ids):
        own[secret.subscription_id].append(secret)
    versions = dict(Subscription.objects.filter(pk__in=subscription_ids).values_list("pk", "version"))
    found = {}
    for row in rows:
        if versions.get(row.pk) == row.version:
            with suppress(secrets.UndecryptableSecret):
                found[row.pk] = row.version, _receiver(row, own[row.pk])
    return found


def _secrets_of(subscription_ids: Collection[int]) -> Iterable[SigningSecret]:
    return SigningSecret.objects.filter(subscription_id__in=subscription_ids).order_by("-id")


def _receiver(subscription: Subscription, keys: Iterable[SigningSecret]) -> Receiver:
    schedule = subscription.retry_schedule
    return Receiver(
        url=subscription.full_url,
        signature_schemes=tuple(subscription.signature_schemes),
        retry_policy=subscription.retry_policy,
        retry_schedule=None if schedule is None else tuple(schedule),
        timeout_seconds=subscription.timeout_seconds or settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS,
        headers=tuple(secrets.decrypt_headers(subscription.encrypted_headers).items()),
        keys=_opened(keys),
        rate_limit_per_second=subscription.rate_limit_per_second,
    )


def callback_keys(organization_id: int, workflow_id: str) -> tuple[SigningKey, ...]:
    """Keys that sign a callback: of each kind the workflow's, or else the organization's."""
    owned = Q(organization_id=organization_id, subscription=None, workflow_id__in={workflow_id, ""})
    rows = list(SigningSecret.objects.filter(owned).order_by("-id"))
    own_kinds = {row.kind for row in rows if row.workflow_id}
    return _opened(row for row in rows if row.workflow_id or row.kind not in own_kinds)


def signing_api_key(api_key_id: int | None) -> str | None:
    """The text of an API key that signs; None for one that is gone or revoked.

    One that has expired since still signs what it started: expiry ends what a caller may ask for,
    and the receiver of a run that took longer can still verify. Distrust is said by revoking.
    """
    if api_key_id is None:
        return None
    key = ApiKey.objects.filter(pk=api_key_id, signs=True, revoked_at=None).first()
    return None if key is None else secrets.decrypt(key.encrypted_key)


def _opened(rows: Iterable[SigningSecret]) -> tuple[SigningKey, ...]:
    return tuple(
        SigningKey(kind=row.kind, text=secrets.decrypt(row.encrypted_secret), expires_at=row.expires_at)
        for row in rows
    )
