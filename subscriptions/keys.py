"""Keys as texts: made, recognised and hashed. Pure; encryption is in `secrets.py`."""

import base64
import binascii
import hashlib
import secrets

STANDARD_PREFIX = "whsec_"
# Standard Webhooks: a symmetric key has 24 to 64 bytes.
STANDARD_KEY_BYTES = 32
STANDARD_KEY_BYTES_ALLOWED = range(24, 65)
API_KEY_PREFIX = "rhk_"
API_KEY_SHOWN_CHARACTERS = len(API_KEY_PREFIX) + 8


def new_api_key() -> str:
    """256 random bits; the prefix tells people and scanners what it is."""
    return f"{API_KEY_PREFIX}{secrets.token_hex(32)}"


def hash_api_key(key: str) -> str:
    """SHA-256 is enough for a random key of 256 bits, and cheap enough for every request."""
    return hashlib.sha256(key.encode()).hexdigest()


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
