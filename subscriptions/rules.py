"""What a subscription or callback may say. Each rule raises InvalidInput naming the field."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings

from subscriptions import event_types
from subscriptions import headers as header_facts
from subscriptions.addresses import TargetRule
from subscriptions.masks import is_masked
from subscriptions.models import URL_MAX_CHARACTERS
from webhooks_project.errors import InvalidInput

SECRET_MAX_CHARACTERS = 255
RETRY_STEPS_MAX = 30
RETRY_STEP_MAX_SECONDS = 7 * 24 * 3600
# Only a hash of a key is kept, which has no other protection than that nobody can guess the key.
BROUGHT_KEY_CHARACTERS = range(24, 1025)
TIMEOUT_MIN_SECONDS = 0.1
# One in 100 seconds: what is slower is not sent, but collected.
RATE_LIMIT_MIN_PER_SECOND = 0.01


def target_rule() -> TargetRule:
    """The operator's rule for targets, from the settings."""
    return TargetRule.of(
        allow_http=settings.WEBHOOK_ALLOW_HTTP,
        networks=settings.WEBHOOK_ALLOWED_NETWORKS,
        hosts=settings.WEBHOOK_ALLOWED_HOSTS,
        ports=settings.WEBHOOK_ALLOWED_PORTS,
        refused_networks=settings.WEBHOOK_REFUSED_NETWORKS,
        nat64_prefixes=settings.WEBHOOK_NAT64_PREFIXES,
    )


def clean_url(url: str, field: str = "url") -> str:
    """The URL without surrounding blanks, if webhooks may be sent there."""
    url = url.strip()
    if not url:
        raise InvalidInput(f"{field} must not be empty", field=field, code="blank")
    if len(url) > URL_MAX_CHARACTERS:
        raise InvalidInput(
            f"{field} must have at most {URL_MAX_CHARACTERS} characters", field=field, code="max_length"
        )
    if is_masked(url):
        raise InvalidInput(
            f"{field} was copied from where its values are masked: give the whole URL",
            field=field,
            code="masked",
        )
    refusal = target_rule().refusal(url)
    if refusal:
        raise InvalidInput(f"{field} {refusal}", field=field, code="url_not_allowed")
    return url


def check_retention(values: Mapping[str, Any]) -> None:
    """Of an organization: the log must reach back as far as it is judged by. None and 0 are none too few."""
    least = settings.SUBSCRIPTION_DISABLE_AFTER_DAYS
    for field in ("attempts_retention_days", "events_retention_days"):
        if values.get(field) and values[field] <= least:
            raise InvalidInput(
                f"{field} must be 0 or more than {least:g}: so long subscriptions are judged by their log",
                field=field,
                code="min_value",
            )


def check_events(events: Sequence[str], payload_format: str) -> None:
    if not events:
        raise InvalidInput("events must name at least one event type", field="events", code="empty")
    for name in events:
        if not event_types.is_subscribable(name):
            raise InvalidInput(
                f"{name!r} is not an event type; the catalogue has {', '.join(event_types.CATALOGUE)}, "
                "'*' is all of them, and custom names are dotted letters, digits and _ "
                "outside 'workflow.' and 'subscription.'",
                field="events",
                code="unknown_event_type",
            )
    uncarried = event_types.not_carried_by(payload_format, list(events))
    if uncarried:
        raise InvalidInput(
            f"payload_format {payload_format!r} has no shape for {', '.join(uncarried)}: "
            "it carries only the end of a run",
            field="payload_format",
            code="format_cannot_carry_event",
        )


def check_headers(headers: Mapping[str, str]) -> None:
    if len(headers) > settings.SUBSCRIPTION_HEADERS_MAX:
        raise InvalidInput(
            f"at most {settings.SUBSCRIPTION_HEADERS_MAX} headers are allowed",
            field="headers",
            code="too_many",
        )
    lowered = [name.lower() for name in headers]
    if len(set(lowered)) != len(lowered):
        raise InvalidInput("headers repeats a name in another case", field="headers", code="duplicate")
    for name, value in headers.items():
        _check_header(name, value)
    if (
        sum(len(name) + len(value) for name, value in headers.items())
        > settings.SUBSCRIPTION_HEADERS_MAX_BYTES
    ):
        raise InvalidInput(
            f"headers: names and values together may have {settings.SUBSCRIPTION_HEADERS_MAX_BYTES} bytes",
            field="headers",
            code="too_long",
        )


def _check_header(name: str, value: str) -> None:
    if not header_facts.is_name(name):
        # Without the name: it may be a whole line, value included.
        raise InvalidInput("headers has a name that is none", field="headers", code="bad_header")
    if header_facts.is_reserved(name):
        raise InvalidInput(
            f"headers: {name} is not for customers to set", field="headers", code="reserved_header"
        )
    longest = settings.SUBSCRIPTION_HEADER_VALUE_MAX_CHARACTERS
    if len(value) > longest or not header_facts.is_value(value):
        raise InvalidInput(
            f"headers: the value of {name} must be printable ASCII of at most {longest} characters",
            field="headers",
            code="bad_header",
        )


def check_secret(secret: str) -> None:
    if not secret.strip() or len(secret) > SECRET_MAX_CHARACTERS:
        raise InvalidInput(
            f"secret must have 1 to {SECRET_MAX_CHARACTERS} characters, not all blank",
            field="secret",
            code="max_length",
        )


def check_brought_key(key: str) -> None:
    """A key of another system comes in a header, as ours do."""
    if len(key) not in BROUGHT_KEY_CHARACTERS or not re.fullmatch(r"[\x21-\x7e]+", key):
        shortest, longest = BROUGHT_KEY_CHARACTERS[0], BROUGHT_KEY_CHARACTERS[-1]
        raise InvalidInput(
            f"the key must have {shortest} to {longest} visible ASCII characters", field="key", code="bad_key"
        )


def check_shared_secret(secret: str) -> None:
    """The scheme sends the text itself."""
    if not header_facts.is_sent_whole(secret):
        raise InvalidInput(
            "secret is sent in a header by shared_secret: printable ASCII without blanks around it",
            field="secret",
            code="bad_secret",
        )


def check_schemes(schemes: Sequence[str], *, of_callback: bool = False) -> None:
    if not schemes:
        raise InvalidInput("signature_schemes must name at least one, or 'none'", field="signature_schemes")
    if len(set(schemes)) != len(schemes):
        raise InvalidInput("signature_schemes repeats a scheme", field="signature_schemes", code="duplicate")
    if not of_callback and set(schemes) & event_types.CALLBACK_SCHEMES:
        raise InvalidInput(
            "skyvern is for callbacks of runs: it signs with the key that made the run",
            field="signature_schemes",
        )
    if event_types.SignatureScheme.NONE in schemes and len(schemes) > 1:
        raise InvalidInput("'none' cannot be combined with a scheme", field="signature_schemes")


def check_retry_schedule(schedule: Sequence[float] | None) -> None:
    if schedule is None:
        return
    if len(schedule) > RETRY_STEPS_MAX:
        raise InvalidInput(f"retry_schedule has more than {RETRY_STEPS_MAX} steps", field="retry_schedule")
    if any(not 0 <= seconds <= RETRY_STEP_MAX_SECONDS for seconds in schedule):
        raise InvalidInput(
            f"retry_schedule: each wait must be between 0 and {RETRY_STEP_MAX_SECONDS} seconds",
            field="retry_schedule",
        )


def check_timeout(timeout_seconds: float | None) -> None:
    limit = settings.DELIVERY_TIMEOUT_MAX_SECONDS
    if timeout_seconds is not None and not TIMEOUT_MIN_SECONDS <= timeout_seconds <= limit:
        raise InvalidInput(
            f"timeout_seconds must be between {TIMEOUT_MIN_SECONDS} and {limit:g}", field="timeout_seconds"
        )


def check_rate_limit(per_second: float | None) -> None:
    most = settings.SUBSCRIPTION_RATE_LIMIT_MAX_PER_SECOND
    if per_second is not None and not RATE_LIMIT_MIN_PER_SECOND <= per_second <= most:
        raise InvalidInput(
            f"rate_limit_per_second must be between {RATE_LIMIT_MIN_PER_SECOND} and {most:g}",
            field="rate_limit_per_second",
        )
