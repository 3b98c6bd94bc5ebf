"""Keys as texts: made, recognised and hashed. Pure; encryption is in `secrets.py`."""

import base64
import binascii
import hashlib
import secrets
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

STANDARD_PREFIX = "whsec_"
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
# Standard Webhooks: a symmetric key has 24 to 64 bytes.
STANDARD_KEY_BYTES = 32
STANDARD_KEY_BYTES_ALLOWED = range(24, 65)
API_KEY_PREFIX = "rhk_"
API_KEY_SHOWN_CHARACTERS = 8
# Keys of other systems, which their callers go on using.
BROUGHT_KEY_PREFIX = "own_"


def new_api_key() -> str:
    """256 random bits; the prefix tells people and scanners what it is."""
    return f"{API_KEY_PREFIX}{secrets.token_hex(32)}"


def hash_api_key(key: str) -> str:
    """SHA-256 is enough for a random key of 256 bits, and cheap enough for every request."""
    return hashlib.sha256(key.encode()).hexdigest()


def shown_prefix(key: str) -> str:
    """By what people tell keys apart: its beginning; of foreign ones, which may begin alike, their hash."""
    if key.startswith(API_KEY_PREFIX):
        return key[: len(API_KEY_PREFIX) + API_KEY_SHOWN_CHARACTERS]
    return BROUGHT_KEY_PREFIX + hash_api_key(key)[:API_KEY_SHOWN_CHARACTERS]


def new_standard_secret() -> str:
    return STANDARD_PREFIX + base64.b64encode(secrets.token_bytes(STANDARD_KEY_BYTES)).decode()


def standard_key(secret: str) -> bytes | None:
    """The raw key inside `whsec_…`, or None where the text is not a Standard Webhooks secret."""
    if not secret.startswith(STANDARD_PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) in STANDARD_KEY_BYTES_ALLOWED else None


def new_key_pair() -> tuple[str, str]:
    """A private key `whsk_…` (seed and public key, as its libraries take it) and its public key `whpk_…`."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    pair = base64.b64encode(private.private_bytes_raw() + public).decode()
    return PRIVATE_PREFIX + pair, PUBLIC_PREFIX + base64.b64encode(public).decode()


# As many as one worker signs with in turn: reading a key costs as much as a signature.
@lru_cache(maxsize=4096)
def private_key(secret: str) -> Ed25519PrivateKey | None:
    """The key inside `whsk_…`, or None where the text is none."""
    if not secret.startswith(PRIVATE_PREFIX):
        return None
    try:
        raw = base64.b64decode(secret.removeprefix(PRIVATE_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Ed25519PrivateKey.from_private_bytes(raw[:32]) if len(raw) == 64 else None
