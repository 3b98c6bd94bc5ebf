"""The keys that this service would sign with, for a listener beside it: read anew for each webhook."""

from collections.abc import Sequence

from django.db.models import Q
from django.db.models.functions import Now

from delivery.listener.verifying import Keys, keys_of
from subscriptions.models import ApiKey, Organization, SigningSecret
from subscriptions.secrets import decrypt


def keys_in_force(
    given: Sequence[str], *, organization: Organization | None, subscription_ids: Sequence[int]
) -> Keys:
    """Those given, of these subscriptions, and all of the organization. Raises UndecryptableSecret."""
    owned = Q(subscription__in=subscription_ids)
    texts = []
    if organization is not None:
        owned |= Q(organization=organization)
        signing = ApiKey.objects.filter(organization=organization, signs=True, revoked_at=None)
        texts += [decrypt(key.encrypted_key) for key in signing]
    in_force = Q(expires_at=None) | Q(expires_at__gt=Now())
    for secret in SigningSecret.objects.filter(owned, in_force):
        texts.append(secret.public_key or decrypt(secret.encrypted_secret))
    # A text of theirs may begin as a key does, and be none.
    named, kept = keys_of(given), keys_of(texts, strict=False)
    return Keys(
        standard=[*named.standard, *kept.standard],
        public=[*named.public, *kept.public],
        text=[*named.text, *kept.text],
    )
