"""The target of a run's callback: a delivery without a subscription, kept in the delivery's own row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from django.utils.crypto import salted_hmac

from subscriptions.encrypted import ENCRYPTED_PREFIX
from subscriptions.event_types import SignatureScheme
from subscriptions.masks import MASKED, shown_url
from subscriptions.models import SigningSecret
from subscriptions.secrets import decrypt, decrypt_headers, opened_url, sealed_url
from subscriptions.snapshots import Receiver, SigningKey, callback_keys, signing_api_key


@dataclass(frozen=True, kw_only=True)
class Callback:
    """Everything needed to send but the keys, which stay where they are encrypted."""

    #: as it is shown; where its query hides something, the whole one is in `encrypted_url`
    url: str
    payload_format: str
    signature_schemes: tuple[str, ...]
    retry_policy: str
    retry_schedule: tuple[float, ...] | None
    timeout_seconds: float
    #: whose keys sign: this workflow's if it has any, else the organization's
    workflow_id: str
    #: the API key that created the run, for the scheme that signs with it
    api_key_id: int | None = None
    #: the caller's text given with this one run, encrypted
    encrypted_secret: str = ""
    #: the URL with its query, encrypted
    encrypted_url: str = ""
    #: the workflow's custom headers, encrypted
    encrypted_headers: str = ""

    def as_row(self) -> dict[str, Any]:
        """`target` tells URLs apart that look alike; it outlives an exchange of the encryption keys."""
        token = self.encrypted_url.encode()
        return asdict(self) | {"target": sha256(token).hexdigest()[:32] if token else ""}


def receiver_of(row: Mapping[str, Any], organization_id: int) -> Receiver | None:
    """The receiver that a delivery's `callback` column describes, with the keys in force.

    None where the API key that has to sign was revoked: unsigned it must not go out.
    """
    api_key = None
    if SignatureScheme.SKYVERN in row["signature_schemes"]:
        api_key = signing_api_key(row["api_key_id"])
        if api_key is None:
            return None
    schedule = row["retry_schedule"]
    keys = callback_keys(organization_id, row["workflow_id"])
    if row["encrypted_secret"]:
        text = decrypt(row["encrypted_secret"])
        keys = (SigningKey(kind=SigningSecret.Kind.TEXT, text=text, expires_at=None), *keys)
    return Receiver(
        # Rows from before such URLs were encrypted have it as it is.
        url=opened_url(row["url"], row.get("encrypted_url", "")),
        signature_schemes=tuple(row["signature_schemes"]),
        retry_policy=row["retry_policy"],
        retry_schedule=None if schedule is None else tuple(schedule),
        timeout_seconds=row["timeout_seconds"],
        # Rows that were written before workflows had headers know nothing of them.
        headers=tuple(decrypt_headers(row.get("encrypted_headers", "")).items()),
        keys=keys,
        api_key=api_key,
    )


def sealed_callback(url: str, row: Mapping[str, Any] | None) -> dict[str, Any]:
    """New values of a delivery from before URLs were encrypted; nothing where all is as it should be.

    Its target is made from the URL itself, keyed: deliveries to one URL are told to be so.
    """
    new: dict[str, Any] = {} if shown_url(url) == url else {"url": shown_url(url)}
    if row is None or row.get("encrypted_url"):
        return new
    shown, token = sealed_url(row["url"])
    if token:
        target = salted_hmac(__name__, row["url"], algorithm="sha256").hexdigest()[:32]
        new["callback"] = {**row, "url": shown, "encrypted_url": token, "target": target}
    return new


def without_ciphertext(row: Mapping[str, Any]) -> dict[str, Any]:
    """For people: ciphertext tells them nothing but that there is something."""
    return {
        name: MASKED if value and name.startswith(ENCRYPTED_PREFIX) else value
        for name, value in row.items()
        if name != "target"
    }
