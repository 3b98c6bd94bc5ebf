"""The catalogue of event types, and which of them each payload format can carry. Pure.

Six are seed 001's; `workflow.queued`, `workflow.cancelled` and those of subscriptions are ours.
"""

import re
from enum import StrEnum

WORKFLOW_QUEUED = "workflow.queued"
WORKFLOW_STARTED = "workflow.started"
WORKFLOW_COMPLETED = "workflow.completed"
WORKFLOW_FAILED = "workflow.failed"
WORKFLOW_CANCELLED = "workflow.cancelled"
STEP_STARTED = "workflow.step.started"
STEP_COMPLETED = "workflow.step.completed"
STEP_FAILED = "workflow.step.failed"

SUBSCRIPTION_FAILING = "subscription.failing"
SUBSCRIPTION_RECOVERED = "subscription.recovered"
SUBSCRIPTION_DISABLED = "subscription.disabled"

RUN_ENDED = (WORKFLOW_COMPLETED, WORKFLOW_FAILED, WORKFLOW_CANCELLED)
CATALOGUE = (
    *(WORKFLOW_QUEUED, WORKFLOW_STARTED, *RUN_ENDED, STEP_STARTED, STEP_COMPLETED, STEP_FAILED),
    *(SUBSCRIPTION_FAILING, SUBSCRIPTION_RECOVERED, SUBSCRIPTION_DISABLED),
)
EVERY_EVENT = "*"
# Only told to those who name them: `*` stands for what happens to runs that someone has taken up.
BY_NAME_ONLY = frozenset(
    {WORKFLOW_QUEUED, SUBSCRIPTION_FAILING, SUBSCRIPTION_RECOVERED, SUBSCRIPTION_DISABLED}
)

RESERVED_PREFIXES = ("workflow.", "subscription.")
NAME_MAX_CHARACTERS = 128
_CUSTOM_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", re.ASCII)


class PayloadFormat(StrEnum):
    """Turns an event into exact bytes; the renderers are registered in `delivery/formats.py`."""

    STANDARD = "standard"
    ELAN_EVENT = "elan_event"
    LEAP_V1 = "leap_v1"
    LEAP_V2 = "leap_v2"
    LEAPERONE = "leaperone"
    SKYVERN_RUN = "skyvern_run"
    EACHLABS_EXECUTION = "eachlabs_execution"


CARRY_EVERY_EVENT = (PayloadFormat.STANDARD, PayloadFormat.ELAN_EVENT)


class SignatureScheme(StrEnum):
    """Turns bytes and keys into headers (`delivery/signing.py`); several may apply at once."""

    STANDARD_WEBHOOKS = "standard_webhooks"
    STANDARD_WEBHOOKS_ED25519 = "standard_webhooks_ed25519"
    HMAC_SHA256_HEX = "hmac_sha256_hex"
    SHARED_SECRET = "shared_secret"  # noqa: S105 - a name
    SKYVERN = "skyvern"
    NONE = "none"


# Keyed by the API key that created a run, so only a run's callback can have it.
CALLBACK_SCHEMES = frozenset({SignatureScheme.SKYVERN})


class RetryPolicyName(StrEnum):
    """Named schedules; their numbers are in `delivery/retry.py`."""

    STANDARD = "standard"
    ELAN = "elan"
    LEAPERONE = "leaperone"
    SKYVERN = "skyvern"
    EACHLABS = "eachlabs"


class DisabledReason(StrEnum):
    """Why the service itself stopped sending to a subscription."""

    GONE = "gone"  # its receiver answered 410
    FAILING = "failing"  # nothing but failures for days


def is_custom_name(name: str) -> bool:
    """May `name` be a platform's own event type: dotted letters, digits and `_`, outside the catalogue?"""
    return (
        len(name) <= NAME_MAX_CHARACTERS
        and _CUSTOM_NAME.fullmatch(name) is not None
        and not name.startswith(RESERVED_PREFIXES)
        and name not in ("workflow", "subscription")
    )


def is_subscribable(name: str) -> bool:
    return name == EVERY_EVENT or name in CATALOGUE or is_custom_name(name)


def not_carried_by(payload_format: str, names: list[str]) -> list[str]:
    """Those of `names` that the format has no shape for (most formats know only the end of a run)."""
    if payload_format in CARRY_EVERY_EVENT:
        return []
    return [name for name in names if name not in RUN_ENDED]
