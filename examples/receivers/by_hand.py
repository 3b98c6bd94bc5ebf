"""The same without a library: the function of docs/verifying.md."""

import base64
import hashlib
import hmac
import os
import time

from receiver import serve


def verify_standard(secret: str, headers: dict[str, str], body: bytes, tolerance_seconds: int = 300) -> bool:
    """Is the request genuine and fresh? `headers` has lower-case names."""
    try:
        webhook_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        signatures = headers["webhook-signature"].split()
        if abs(time.time() - int(timestamp)) > tolerance_seconds:
            return False
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (KeyError, ValueError, OverflowError):
        return False
    # Headers come from anyone, and Python's texts may hold what UTF-8 cannot: surrogates.
    signed = f"{webhook_id}.{timestamp}.".encode(errors="surrogatepass") + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    # While a key is rotated there are several signatures; one that fits is enough.
    return any(
        hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass")) for given in signatures
    )


if __name__ == "__main__":
    secret = os.environ["WEBHOOK_SECRET"]
    serve(lambda headers, body: verify_standard(secret, dict(headers), body))
