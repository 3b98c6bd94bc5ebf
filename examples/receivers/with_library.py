"""Receives what is signed by Standard Webhooks: pip install standardwebhooks."""

import os
from collections.abc import Mapping

from receiver import serve
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])


def is_genuine(headers: Mapping[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, dict(headers))
    except (WebhookVerificationError, ValueError):  # a signature of another form is the latter
        return False
    return True


if __name__ == "__main__":
    serve(is_genuine)
