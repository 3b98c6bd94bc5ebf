"""Retry Webhook: send an ended run's webhook once more, wait for the answer, say what came back."""

from collections.abc import Callable
from typing import Any

from django.conf import settings

from delivery import services
from delivery.models import Attempt, Delivery
from delivery.states import ErrorClass
from runs.dialects.skyvern.errors import BlockedTarget, NotTerminal, NoWebhookURL
from runs.dialects.skyvern.payloads import run_type, status_of
from runs.dialects.skyvern.targets import HINT, clean_target, key_for_retry
from runs.models import Run
from runs.resend import resend_callback
from runs.states import ENDED
from subscriptions.api.authentication import Caller
from subscriptions.masks import shown_url
from subscriptions.models import Scope

TIMEOUT_SECONDS = 60.0
RESPONSE_BODY_MAX_CHARACTERS = 2048
TRUNCATED = "\n... (truncated)"

_BLOCKED = frozenset({ErrorClass.ADDRESS_NOT_ALLOWED, ErrorClass.DNS})
_UNREACHABLE = frozenset(
    {ErrorClass.CONNECTION_REFUSED, ErrorClass.CONNECTION_RESET, ErrorClass.NETWORK, ErrorClass.TLS}
)


def retry_webhook(
    run: Run,
    *,
    url: str | None,
    caller: Caller,
    once: Callable[[Callable[[], Delivery]], Delivery],
) -> dict[str, Any]:
    """One attempt at the run's URL, or at `url`; the document's ten keys.

    `once` makes the delivery, or finds the one that it made when the same was asked before.

    Raises NotTerminal, NoSigningKey, NoWebhookURL, BlockedTarget, TooManyWaiting; in all but the case of
    a name that only the attempt could find blocked or unknown, nothing has been sent or recorded.
    """
    if run.status not in ENDED:
        status = status_of(run.status)
        raise NotTerminal(f"Run {run.public_id} has not reached a terminal state (status={status}).")
    # Queries are for keys that may read runs, not for pages that people look at.
    shown = str if caller.sees_full_urls(Scope.RUNS_READ) else shown_url
    # On the object only: the run keeps the key that created it.
    run.api_key = key_for_retry(run, caller.key)
    default = run.full_webhook_url or run.version.full_webhook_url
    other = clean_target(url)
    target = other or clean_target(default)
    if not target:
        raise NoWebhookURL
    timeout = min(TIMEOUT_SECONDS, settings.DELIVERY_TIMEOUT_MAX_SECONDS)
    with services.one_waiting_place(run.organization):
        delivery = once(lambda: resend_callback(run, url=other, timeout_seconds=timeout))
        attempt = services.wait_for_attempt(delivery, seconds=timeout + settings.DELIVERY_WAIT_MARGIN_SECONDS)
    if attempt is not None and attempt.error_class in _BLOCKED:
        raise BlockedTarget(f"{attempt.error_message}. {HINT}", field="webhook_url")
    sent = delivery.kept_body() if caller.may(Scope.RUNS_READ) else None
    return {
        "run_id": run.public_id,
        "run_type": run_type(run),
        "default_webhook_url": shown(default) or None,
        "target_webhook_url": shown(target),
        "payload": None if sent is None else bytes(sent.body).decode(),
        "headers": attempt.request_headers if attempt else {},
        "status_code": attempt.status_code if attempt else None,
        "latency_ms": int(attempt.duration_ms) if attempt and attempt.duration_ms is not None else None,
        "response_body": _response_body(attempt) if attempt else None,
        "error": _error(attempt, timeout) if attempt else _nobody_worked(delivery),
    }


def _response_body(attempt: Attempt) -> str | None:
    """At most 2048 characters, marked where there were more. The log keeps no more than that, so an
    answer of exactly this length is believed to be whole only if its Content-Length says so.
    """
    text = attempt.response_body or ""
    if len(text) < RESPONSE_BODY_MAX_CHARACTERS:
        return text or None
    kept = text[:RESPONSE_BODY_MAX_CHARACTERS]
    said = {name.lower(): value for name, value in attempt.response_headers.items()}.get("content-length")
    return kept if said == str(len(kept.encode())) else kept + TRUNCATED


def _error(attempt: Attempt, timeout: float) -> str | None:
    """Why there was no answer, in Skyvern's three texts; null where there was one, whatever its status."""
    if attempt.status_code is not None:
        return None
    if attempt.error_class == ErrorClass.TIMEOUT:
        return f"Request timed out after {timeout:g} seconds."
    if attempt.error_class in _UNREACHABLE:
        return f"Could not reach URL: {attempt.error_message}"
    return f"Unexpected error: {attempt.error_message}"


def _nobody_worked(delivery: Delivery) -> str:
    return f"Unexpected error: no worker has made the attempt yet; delivery {delivery.id} will show it"
