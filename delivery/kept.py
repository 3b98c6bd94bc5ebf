"""What an attempt's record may keep of its request and answer: nothing secret. Pure."""

from dataclasses import replace

from delivery.sender import Answer
from subscriptions.masks import MASKED, shown_url, without
from subscriptions.snapshots import Receiver

# Headers of ours that tell nothing secret; a signature is worthless without its key.
SHOWN_REQUEST_HEADERS = frozenset(
    "content-type user-agent webhook-id webhook-timestamp webhook-signature x-webhook-signature "
    "x-skyvern-signature x-skyvern-timestamp".split()
)
MASKED_RESPONSE_HEADERS = frozenset(
    "set-cookie cookie authorization proxy-authorization www-authenticate proxy-authenticate".split()
)
URL_RESPONSE_HEADERS = frozenset({"location", "content-location"})


def without_secrets(answer: Answer, receiver: Receiver) -> Answer:
    """The answer as the log may keep it: a receiver that echoes its request must not publish our secrets."""
    if not (answer.headers or answer.body):
        return answer
    hidden = receiver.hidden
    headers = {without(name, hidden): without(value, hidden) for name, value in answer.headers.items()}
    return replace(answer, headers=headers, body=without(answer.body, hidden))


def mask_request_headers(headers: dict[str, str]) -> dict[str, str]:
    """Customers' headers often carry credentials: the log keeps their names only."""
    return {
        name: value if name.lower() in SHOWN_REQUEST_HEADERS else MASKED
        for name, value in headers.items()
        if name.lower() != "accept-encoding"
    }


def mask_response_headers(headers: dict[str, str]) -> dict[str, str]:
    """A receiver's own secrets, such as its cookies, are none of the log's business either."""

    def shown(name: str, value: str) -> str:
        if name in MASKED_RESPONSE_HEADERS:
            return MASKED
        return shown_url(value) if name in URL_RESPONSE_HEADERS else value

    return {name: shown(name.lower(), value) for name, value in headers.items()}
