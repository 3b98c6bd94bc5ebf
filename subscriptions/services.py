"""Writes. Each service is one transaction; API, admin and commands call the same ones."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from subscriptions import audit_notes, keys, known_keys, rules, secrets, selectors, signing_secrets
from subscriptions.event_types import DisabledReason, SignatureScheme
from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, SigningSecret, Subscription
from subscriptions.selectors import has_secret
from subscriptions.signals import rate_limit_raised, subscription_stopped
from subscriptions.signing_secrets import Owner, Rotation
from webhooks_project.errors import Conflict, InvalidInput

EDITABLE = (
    "name url events workflow_ids is_active payload_format signature_schemes "
    "retry_policy retry_schedule timeout_seconds rate_limit_per_second"
).split()
NEED_A_TEXT = {SignatureScheme.HMAC_SHA256_HEX, SignatureScheme.SHARED_SECRET}
ROTATION_OVERLAP_SECONDS = 24 * 3600


def organization_create(*, name: str, contact_email: str = "") -> tuple[Organization, str]:
    """A new tenant and its signing secret, which is shown this once. Raises Conflict for a taken name."""
    try:
        with transaction.atomic():
            organization = Organization.objects.create(name=name, contact_email=contact_email)
            secret = keys.new_standard_secret()
            Owner(organization=organization).keep(secret, SigningSecret.Kind.STANDARD)
            audit_notes.organization_created(organization)
    except IntegrityError:
        raise Conflict("an organization of this name exists", field="name", code="name_taken") from None
    return organization, secret


def api_key_create(
    *,
    organization: Organization,
    name: str = "",
    scopes: Iterable[str] = (),
    signs: bool = False,
    expires_at: datetime | None = None,
    others: Iterable[Organization] = (),
    brought: str | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its plain text, which is shown this once and kept only if it signs webhooks.

    `brought` is a key of another system that its callers go on using. Raises InvalidInput, Conflict.
    """
    plain = brought or keys.new_api_key()
    key_hash = keys.hash_api_key(plain)
    if brought is not None:
        rules.check_brought_key(brought)
        if ApiKey.objects.filter(key_hash=key_hash).exists():
            raise Conflict("this key is here already, or was revoked", field="key", code="key_taken")
    with transaction.atomic():
        key = ApiKey.objects.create(
            organization=organization,
            name=name,
            prefix=keys.shown_prefix(plain),
            key_hash=key_hash,
            signs=signs,
            encrypted_key=secrets.encrypt(plain) if signs else "",
            scopes=list(scopes) or list(DEFAULT_SCOPES),
            expires_at=expires_at,
        )
        key.organizations.set(others)
        audit_notes.api_key_created(key)
    return key, plain


@transaction.atomic
def api_key_revoke(key: ApiKey) -> None:
    """From now on every request with this key is refused. Revoking twice changes nothing."""
    now = timezone.now()
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now):
        audit_notes.api_key_revoked(key, now)
    known_keys.forget(key.key_hash)


@transaction.atomic
def subscription_create(*, organization: Organization, values: Mapping[str, Any]) -> tuple[Subscription, str]:
    """A new subscription and its Standard Webhooks secret, shown this once.

    `values` holds the model's editable fields, `secret` and `headers`. Raises InvalidInput.
    """
    # The row lock makes the limit exact under concurrent creates.
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    limit = settings.SUBSCRIPTIONS_PER_ORGANIZATION_MAX
    if selectors.of_organization(organization).count() >= limit:
        raise InvalidInput(f"an organization may have {limit} subscriptions", code="too_many_subscriptions")
    subscription = Subscription(organization=organization)
    _assign(subscription, values)
    subscription.save(force_insert=True)
    subscription.refresh_from_db()
    secret: str | None = values.get("secret")
    signing_secret = secret if secret and keys.standard_key(secret) else keys.new_standard_secret()
    owner = _owner(subscription)
    owner.keep(signing_secret, SigningSecret.Kind.STANDARD)
    if secret:
        owner.keep(secret, SigningSecret.Kind.TEXT)
    _make_able_to_sign(subscription)
    audit_notes.subscription_created(subscription, values)
    return subscription, signing_secret


@transaction.atomic
def subscription_update(
    *, organization: Organization, subscription_id: int, values: Mapping[str, Any]
) -> Subscription:
    """Change the given fields only; a `secret` or `headers` of None is cleared.

    Raises NotFound, InvalidInput.
    """
    subscription = selectors.subscription_get(organization, subscription_id, lock=True)
    was_active, before = subscription.is_active, audit_notes.facts(subscription)
    _assign(subscription, values)
    if values.get("is_active"):
        _enable(subscription)
    if "secret" in values:
        _replace_text_secret(subscription, values["secret"])
    _make_able_to_sign(subscription)
    _save(subscription)
    audit_notes.subscription_updated(subscription, before, values)
    if was_active and not subscription.is_active:
        subscription_stopped.send(Subscription, subscription=subscription, reason="subscription_deactivated")
    limit, old_limit = subscription.rate_limit_per_second, before["rate_limit_per_second"]
    if old_limit is not None and (limit is None or limit > old_limit):
        rate_limit_raised.send(Subscription, subscription=subscription)
    return subscription


def subscription_disable(subscription_id: int, reason: DisabledReason) -> Subscription | None:
    """Stop sending for a reason of ours; None where its owner or we have stopped it before.

    The caller's transaction holds the row's lock from here on. Only the owner's `is_active` or a
    person in the admin turns it on again.
    """
    subscription = (
        Subscription.objects.select_for_update()
        .filter(pk=subscription_id, is_active=True, disabled_at=None)
        .first()
    )
    if subscription is None:
        return None
    subscription.disabled_at = timezone.now()
    subscription.disabled_reason = reason
    _save(subscription)
    audit_notes.subscription_disabled(subscription)
    return subscription


def _enable(subscription: Subscription) -> None:
    """Its owner wants it back: what failed before counts no more."""
    subscription.disabled_at = subscription.failing_since = None
    subscription.disabled_reason = ""


@transaction.atomic
def subscription_delete(*, organization: Organization, subscription_id: int) -> None:
    """Final: the secrets go, nothing more is sent; what was sent stays readable. Raises NotFound."""
    subscription = selectors.subscription_get(organization, subscription_id, lock=True)
    subscription.is_active = False
    subscription.deleted_at = timezone.now()
    subscription.encrypted_headers = subscription.encrypted_url = ""
    subscription.signing_secrets.all().delete()
    _save(subscription)
    audit_notes.subscription_deleted(subscription)
    subscription_stopped.send(Subscription, subscription=subscription, reason="subscription_deleted")


@transaction.atomic
def signing_secret_rotate(
    *,
    organization: Organization,
    subscription: Subscription | None = None,
    workflow_id: str = "",
    overlap_seconds: float = ROTATION_OVERLAP_SECONDS,
) -> Rotation:
    """A new Standard Webhooks secret, shown this once; those before it sign beside it for the overlap.

    Raises NotFound for a subscription that was deleted meanwhile, Conflict if too many secrets would sign.
    """
    if subscription is not None:
        selectors.subscription_get(organization, subscription.pk, lock=True)
    else:
        Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    owner = Owner(organization=organization, subscription=subscription, workflow_id=workflow_id)
    rotation = signing_secrets.rotate(owner, overlap_seconds=overlap_seconds)
    if subscription is not None:
        Subscription.objects.filter(pk=subscription.pk).update(version=F("version") + 1)
    audit_notes.secret_rotated(organization, subscription, workflow_id, overlap_seconds)
    return rotation


def _assign(subscription: Subscription, values: Mapping[str, Any]) -> None:
    """Put `values` on the object and check the whole of it, so that rules across fields hold."""
    before = secrets.readable_url(subscription.url, subscription.encrypted_url)
    for field in EDITABLE:
        if field in values and field != "url":
            setattr(subscription, field, values[field])
    if "url" in values:
        url = rules.clean_url(values["url"])
        # Sealed again the same URL would look like another one.
        if url != before:
            subscription.url, subscription.encrypted_url = secrets.sealed_url(url)
    rules.check_events(subscription.events, subscription.payload_format)
    rules.check_schemes(subscription.signature_schemes)
    rules.check_retry_schedule(subscription.retry_schedule)
    rules.check_timeout(subscription.timeout_seconds)
    rules.check_rate_limit(subscription.rate_limit_per_second)
    if "headers" in values:
        headers = values["headers"] or {}
        rules.check_headers(headers)
        subscription.encrypted_headers = secrets.encrypt_headers(headers)
        subscription.header_names = sorted(headers)
    if values.get("secret") is not None:
        rules.check_secret(values["secret"])


def _save(subscription: Subscription) -> None:
    subscription.version += 1
    subscription.updated_at = timezone.now()
    subscription.save()


def _make_able_to_sign(subscription: Subscription) -> None:
    """Whoever asks for schemes that all need a secret must not get unsigned requests."""
    owner = _owner(subscription)
    if SignatureScheme.STANDARD_WEBHOOKS_ED25519 in subscription.signature_schemes and not owner.has_pair():
        owner.make_pair()
    if set(subscription.signature_schemes) <= NEED_A_TEXT and not has_secret(subscription):
        wanted = " and ".join(sorted(subscription.signature_schemes))
        raise InvalidInput(f"{wanted}: give a secret to sign with", field="secret", code="secret_needed")
    if SignatureScheme.SHARED_SECRET in subscription.signature_schemes:
        for row in subscription.signing_secrets.filter(kind=SigningSecret.Kind.TEXT):
            # One whose key is missing cannot be judged, and is not sent either.
            with suppress(secrets.UndecryptableSecret):
                rules.check_shared_secret(secrets.decrypt(row.encrypted_secret))


def _replace_text_secret(subscription: Subscription, secret: str | None) -> None:
    """The caller's text changes at once, as seed 001's update says; overlap is for generated keys.

    A text of Standard Webhooks' form replaces that key too: it serves as both.
    """
    kinds = [SigningSecret.Kind.TEXT]
    if secret and keys.standard_key(secret):
        kinds.append(SigningSecret.Kind.STANDARD)
    subscription.signing_secrets.filter(kind__in=kinds).delete()
    if secret:
        for kind in kinds:
            _owner(subscription).keep(secret, kind)


def _owner(subscription: Subscription) -> Owner:
    return Owner(organization=subscription.organization, subscription=subscription)
