"""From a claim to the request: where it goes, what it says, how it is signed."""

from datetime import datetime

from django.conf import settings

from delivery import callbacks, signing
from delivery.claim import Claimed
from delivery.sender import OutgoingRequest
from subscriptions import cache
from subscriptions.models import SigningSecret
from subscriptions.snapshots import Receiver


def receiver_for(claimed: Claimed) -> Receiver | None:
    """Where and how to send, or None if its subscription has been stopped since."""
    if claimed.callback is not None:
        return callbacks.receiver_of(claimed.callback, claimed.organization_id)
    if claimed.subscription_id is None or claimed.subscription_version is None:
        return None
    if claimed.deleted_at is not None or not (claimed.is_active or claimed.is_test):
        return None
    return cache.receiver(claimed.subscription_id, claimed.subscription_version)


def build_request(claimed: Claimed, receiver: Receiver, *, now: datetime) -> OutgoingRequest:
    """The frozen bytes, signed for this attempt. Ours win over the customer's headers of the same name."""
    standard = receiver.signing_keys(SigningSecret.Kind.STANDARD, now)
    keys = signing.Keys(
        standard=standard,
        text=receiver.signing_keys(SigningSecret.Kind.TEXT, now),
        ed25519=receiver.signing_keys(SigningSecret.Kind.ED25519, now),
        # A callback has the workflow's or the organization's key, whose text serves for this as well.
        hmac_only=standard if claimed.callback is not None else (),
        api_key=receiver.api_key,
    )
    signable = signing.Signable(
        webhook_id=claimed.webhook_id, timestamp=int(now.timestamp()), body=claimed.body
    )
    headers = dict(receiver.headers)
    headers |= {
        "Content-Type": "application/json",
        "User-Agent": f"Runhooks/{settings.VERSION}",
        "Accept-Encoding": "identity",
    }
    headers |= signing.headers_for(receiver.signature_schemes, signable, keys)
    if settings.TRACING:
        from delivery import spans

        headers = spans.with_traceparent(headers, claimed)
    return OutgoingRequest(
        url=receiver.url,
        headers=headers,
        body=claimed.body,
        timeout_seconds=receiver.timeout_seconds,
        organization_id=claimed.organization_id,
    )
