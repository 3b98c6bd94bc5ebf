"""Is a webhook genuine? Every scheme that this service signs with, as docs/verifying.md says. Pure.

Written again and not taken from `signing`, so that a mistake there would be seen here.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from subscriptions.event_types import SignatureScheme
from subscriptions.keys import PUBLIC_PREFIX, STANDARD_PREFIX, standard_key

TOLERANCE_SECONDS = 300


class Verdict(StrEnum):
    """What is to be thought of a signature."""

    GENUINE = "genuine"
    FORGED = "forged"
    STALE = "stale"
    NO_KEY = "no key to check it with"


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What a receiver knows; texts are secrets of its own and API keys."""

    standard: Sequence[bytes] = ()
    public: Sequence[Ed25519PublicKey] = ()
    text: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What came in; names of headers in lower case."""

    headers: Mapping[str, str]
    body: bytes
    #: Unix seconds
    now: float

    @property
    def signed(self) -> bytes:
        """What Standard Webhooks signs."""
        id_, timestamp = self.headers.get("webhook-id", ""), self.headers.get("webhook-timestamp", "")
        return f"{id_}.{timestamp}.".encode(errors="surrogatepass") + self.body

    @property
    def is_fresh(self) -> bool:
        try:
            return abs(self.now - int(self.headers.get("webhook-timestamp", ""))) <= TOLERANCE_SECONDS
        except (ValueError, OverflowError):
            return False


def keys_of(texts: Sequence[str], *, strict: bool = True) -> Keys:
    """By their prefixes. What has none is a text; so is a key that is none, or it raises ValueError."""
    standard, public, text = [], [], []
    for given in texts:
        try:
            if given.startswith(STANDARD_PREFIX):
                standard.append(_standard_key(given))
            elif given.startswith(PUBLIC_PREFIX):
                public.append(_public_key(given))
            else:
                text.append(given)
        except ValueError:
            if strict:
                raise
            text.append(given)
    return Keys(standard=standard, public=public, text=text)


def verify(request: Request, keys: Keys) -> dict[str, Verdict]:
    """For each scheme that the request is signed with; empty for none."""
    found = {
        SignatureScheme.STANDARD_WEBHOOKS: _standard(request, keys),
        SignatureScheme.STANDARD_WEBHOOKS_ED25519: _ed25519(request, keys),
        SignatureScheme.HMAC_SHA256_HEX: _hex(request, "x-webhook-signature", keys),
        SignatureScheme.SKYVERN: _hex(request, "x-skyvern-signature", keys),
        SignatureScheme.SHARED_SECRET: _shared(request, keys),
    }
    return {str(scheme): verdict for scheme, verdict in found.items() if verdict is not None}


def _standard(request: Request, keys: Keys) -> Verdict | None:
    def fits(signature: bytes) -> bool:
        expected = (hmac.new(key, request.signed, hashlib.sha256).digest() for key in keys.standard)
        return any(hmac.compare_digest(signature, digest) for digest in expected)

    return _versioned(request, "v1,", bool(keys.standard), fits)


def _ed25519(request: Request, keys: Keys) -> Verdict | None:
    def fits(signature: bytes) -> bool:
        return any(_is_signed_by(key, signature, request.signed) for key in keys.public)

    return _versioned(request, "v1a,", bool(keys.public), fits)


def _versioned(
    request: Request, version: str, has_keys: bool, fits: Callable[[bytes], bool]
) -> Verdict | None:
    """While a key is exchanged there are several signatures; one that fits is enough."""
    given = [one for one in request.headers.get("webhook-signature", "").split() if one.startswith(version)]
    if not given:
        return None
    if not has_keys:
        return Verdict.NO_KEY
    if not any(fits(_decoded(one.removeprefix(version))) for one in given):
        return Verdict.FORGED
    return Verdict.GENUINE if request.is_fresh else Verdict.STALE


def _hex(request: Request, header: str, keys: Keys) -> Verdict | None:
    digests = (hmac.new(key.encode(), request.body, hashlib.sha256).hexdigest() for key in keys.text)
    return _text(request, header, keys, digests)


def _shared(request: Request, keys: Keys) -> Verdict | None:
    return _text(request, "x-webhook-secret", keys, iter(keys.text))


def _text(request: Request, header: str, keys: Keys, expected: Iterator[str]) -> Verdict | None:
    given = request.headers.get(header)
    if given is None:
        return None
    if not keys.text:
        return Verdict.NO_KEY
    raw = given.encode(errors="surrogatepass")
    fits = any(hmac.compare_digest(one.encode(), raw) for one in expected)
    return Verdict.GENUINE if fits else Verdict.FORGED


def _is_signed_by(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    """Nothing for what is no base64: no signature is like that."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


def _standard_key(text: str) -> bytes:
    if (key := standard_key(text)) is None:
        raise ValueError(f"what follows {STANDARD_PREFIX} is not the base64 of 24 to 64 bytes")
    return key


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(
            base64.b64decode(text.removeprefix(PUBLIC_PREFIX), validate=True)
        )
    except ValueError:
        raise ValueError(f"what follows {PUBLIC_PREFIX} is not the base64 of 32 bytes") from None
