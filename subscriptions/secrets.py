"""Secrets, encrypted at rest. Nothing here is ever logged.

At rest secrets are Fernet tokens (AES-128-CBC with HMAC-SHA256) under the first of
`settings.ENCRYPTION_KEYS`; every key of that list decrypts, so keys can be exchanged in place.
"""

import json
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from subscriptions.masks import shown_url
from webhooks_project.errors import DomainError

RETRY_UNDECRYPTABLE_SECONDS = 300


class UndecryptableSecret(DomainError):
    """What this needs cannot be decrypted: an operator has to bring an encryption key back."""

    status = 503
    code = "secret_undecryptable"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=RETRY_UNDECRYPTABLE_SECONDS)


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(plain: str) -> str:
    return _fernet(tuple(settings.ENCRYPTION_KEYS)).encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """The plain text of an `encrypt`ed token; raises UndecryptableSecret."""
    try:
        return _fernet(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken:
        raise UndecryptableSecret from None


def under_first_key(token: str) -> str:
    """The token if the first key opens it, else a new one under that key; raises UndecryptableSecret."""
    keys = tuple(settings.ENCRYPTION_KEYS)
    try:
        _fernet(keys[:1]).decrypt(token.encode())
    except InvalidToken:
        try:
            return _fernet(keys).rotate(token.encode()).decode()
        except InvalidToken:
            raise UndecryptableSecret from None
    return token


def sealed_url(url: str) -> tuple[str, str]:
    """What is kept of a URL: as it is shown, and the whole one encrypted where that hides anything."""
    shown = shown_url(url)
    return shown, "" if shown == url else encrypt(url)


def opened_url(shown: str, token: str) -> str:
    """The URL as it was registered; raises UndecryptableSecret."""
    return decrypt(token) if token else shown


def readable_url(shown: str, token: str) -> str | None:
    """The same, or None where its key is missing: whatever comes in its place is new then."""
    try:
        return opened_url(shown, token)
    except UndecryptableSecret:
        return None


def encrypt_headers(headers: dict[str, str]) -> str:
    return encrypt(json.dumps(headers)) if headers else ""


def decrypt_headers(token: str) -> dict[str, str]:
    headers: dict[str, str] = json.loads(decrypt(token)) if token else {}
    return headers
