"""Signature schemes: exact bytes and keys in, headers out. Pure.

`standard_webhooks` follows the Standard Webhooks specification (v1, HMAC-SHA256);
`standard_webhooks_ed25519` is its asymmetric form (v1a): receivers need nothing secret to verify;
`hmac_sha256_hex` is seed 001's `X-Webhook-Signature`: lower-case hex over the raw body;
`skyvern` is seed 003's: the same under the API key that created the run, with the time beside it;
`shared_secret` sends the secret itself, only for receivers that know nothing better.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from subscriptions.event_types import SignatureScheme
from subscriptions.keys import private_key, standard_key

SIGNATURE = "webhook-signature"


@dataclass(frozen=True, kw_only=True)
class Signable:
    """What a signature covers: the id of the event, whole Unix seconds of this attempt, the bytes sent."""

    webhook_id: str
    timestamp: int
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The secrets in force, newest first: Standard Webhooks keys (`whsec_…`), texts, an API key.

    `hmac_only` are texts that may key an HMAC where there is no other, but are never sent themselves.
    """

    standard: Sequence[str]
    text: Sequence[str]
    #: private keys `whsk_…`
    ed25519: Sequence[str] = ()
    hmac_only: Sequence[str] = ()
    api_key: str | None = None


def headers_for(schemes: Sequence[str], message: Signable, keys: Keys) -> dict[str, str]:
    """The headers that the schemes add. A scheme without a key adds none of its own.

    `webhook-id` and `webhook-timestamp` go with every request: receivers deduplicate by the id.
    """
    headers = {"webhook-id": message.webhook_id, "webhook-timestamp": str(message.timestamp)}
    for scheme in schemes:
        for name, value in SCHEMES[scheme](message, keys).items():
            # Both forms of Standard Webhooks share this one: signatures follow each other.
            headers[name] = f"{headers[name]} {value}" if name == SIGNATURE and name in headers else value
    return headers


def _signed(message: Signable) -> bytes:
    return b"%s.%d.%s" % (message.webhook_id.encode(), message.timestamp, message.body)


def _standard_webhooks_ed25519(message: Signable, keys: Keys) -> dict[str, str]:
    signed = _signed(message)
    found = [key for key in map(private_key, keys.ed25519) if key is not None]
    signatures = [f"v1a,{base64.b64encode(key.sign(signed)).decode()}" for key in found]
    return {SIGNATURE: " ".join(signatures)} if signatures else {}


def _standard_webhooks(message: Signable, keys: Keys) -> dict[str, str]:
    signed = _signed(message)
    signatures = []
    for secret in keys.standard:
        key = standard_key(secret)
        if key is not None:
            digest = hmac.new(key, signed, hashlib.sha256).digest()
            signatures.append(f"v1,{base64.b64encode(digest).decode()}")
    return {SIGNATURE: " ".join(signatures)} if signatures else {}


def _hmac_sha256_hex(message: Signable, keys: Keys) -> dict[str, str]:
    texts = keys.text or keys.hmac_only
    if not texts:
        return {}
    digest = hmac.new(texts[0].encode(), message.body, hashlib.sha256).hexdigest()
    return {"X-Webhook-Signature": digest}


def _shared_secret(message: Signable, keys: Keys) -> dict[str, str]:
    return {"X-Webhook-Secret": keys.text[0]} if keys.text else {}


def _skyvern(message: Signable, keys: Keys) -> dict[str, str]:
    if keys.api_key is None:
        return {}
    digest = hmac.new(keys.api_key.encode(), message.body, hashlib.sha256).hexdigest()
    return {"x-skyvern-signature": digest, "x-skyvern-timestamp": str(message.timestamp)}


def _none(message: Signable, keys: Keys) -> dict[str, str]:
    return {}


SCHEMES: Mapping[str, Callable[[Signable, Keys], dict[str, str]]] = {
    SignatureScheme.STANDARD_WEBHOOKS: _standard_webhooks,
    SignatureScheme.STANDARD_WEBHOOKS_ED25519: _standard_webhooks_ed25519,
    SignatureScheme.HMAC_SHA256_HEX: _hmac_sha256_hex,
    SignatureScheme.SHARED_SECRET: _shared_secret,
    SignatureScheme.SKYVERN: _skyvern,
    SignatureScheme.NONE: _none,
}
