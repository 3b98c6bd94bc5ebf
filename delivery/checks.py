"""System checks of the settings, with stable ids: a nonsense combination stops the start."""

from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connection

from delivery import target_checks
from delivery.presence import INTERVAL_SECONDS
from subscriptions.rate_limits import why_unusable

POSTGRESQL_MINIMUM = 180_000
SECRET_KEY_MIN_CHARACTERS = 32


@register()
def check_settings(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        *_encryption_keys(),
        *target_checks.found(),
        *_rate_limits(),
        *_timeouts(),
        *_silence(),
        *_replays(),
        *_slow_receivers(),
        *_retention(),
        *_production(),
        *_open_in_production(),
    ]


@register(Tags.database)
def check_database(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Runs with `migrate` and `check --database default`, when a database is at hand."""
    if not databases:
        return []
    if connection.vendor != "postgresql" or connection.pg_version < POSTGRESQL_MINIMUM:  # type: ignore[attr-defined]
        return [
            Error(
                "PostgreSQL 18 or newer is needed: the time-ordered keys come from its uuidv7().",
                hint="Point DATABASE_URL at such a server.",
                id="runhooks.E005",
            )
        ]
    return []


def _encryption_keys() -> list[CheckMessage]:
    for position, key in enumerate(settings.ENCRYPTION_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            return [
                Error(
                    f"ENCRYPTION_KEYS: key number {position} is not 32 bytes in URL-safe base64.",
                    hint="Make one: python -c 'from cryptography.fernet import Fernet; "
                    "print(Fernet.generate_key().decode())'",
                    id="runhooks.E001",
                )
            ]
    return []


def _rate_limits() -> list[CheckMessage]:
    reason = why_unusable(settings.CELERY_BROKER_URL)
    if reason is None:
        return []
    return [
        Error(
            f"BROKER_URL: the rate limits cannot be kept there: {reason}.",
            hint="Write it as redis-py does, such as rediss://…?ssl_cert_reqs=required.",
            id="runhooks.E009",
        )
    ]


def _timeouts() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    longest_attempt = settings.DELIVERY_TIMEOUT_MAX_SECONDS + settings.DELIVERY_LEASE_MARGIN_SECONDS
    longest_in_celery = settings.DELIVERY_RETRY_IN_CELERY_SECONDS + longest_attempt
    if longest_in_celery >= settings.BROKER_VISIBILITY_TIMEOUT_SECONDS:
        found.append(
            Error(
                f"BROKER_VISIBILITY_TIMEOUT_SECONDS ({settings.BROKER_VISIBILITY_TIMEOUT_SECONDS}) must "
                f"exceed the longest wait and attempt in Celery ({longest_in_celery:g} s), "
                "or every wait is doubled.",
                hint="Raise it, or lower DELIVERY_RETRY_IN_CELERY_SECONDS or DELIVERY_TIMEOUT_MAX_SECONDS.",
                id="runhooks.E003",
            )
        )
    if settings.DELIVERY_TIMEOUT_DEFAULT_SECONDS > settings.DELIVERY_TIMEOUT_MAX_SECONDS:
        found.append(
            Error(
                "DELIVERY_TIMEOUT_DEFAULT_SECONDS exceeds DELIVERY_TIMEOUT_MAX_SECONDS.",
                hint="Lower the first or raise the second.",
                id="runhooks.E004",
            )
        )
    return found


def _silence() -> list[CheckMessage]:
    # A worker says that it lives between two looks of its requeuer, which a broker that hangs holds up.
    longest_pause = (
        INTERVAL_SECONDS + settings.REQUEUE_INTERVAL_SECONDS + 2 * settings.BROKER_SOCKET_TIMEOUT_SECONDS
    )
    if longest_pause < settings.WORKER_SILENT_SECONDS:
        return []
    return [
        Warning(
            f"WORKER_SILENT_SECONDS ({settings.WORKER_SILENT_SECONDS:g}) should exceed the longest pause "
            f"between two signs of life ({longest_pause:g} s), or workers that live count as gone.",
            hint="Raise it, or lower REQUEUE_INTERVAL_SECONDS or BROKER_SOCKET_TIMEOUT_SECONDS.",
            id="runhooks.W002",
        )
    ]


def _replays() -> list[CheckMessage]:
    if settings.REPLAY_RATE_DEFAULT_PER_SECOND <= settings.REPLAY_RATE_MAX_PER_SECOND:
        return []
    return [
        Error(
            "REPLAY_RATE_DEFAULT_PER_SECOND exceeds REPLAY_RATE_MAX_PER_SECOND.",
            hint="Lower the first or raise the second.",
            id="runhooks.E008",
        )
    ]


def _slow_receivers() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    in_a_row = settings.DELIVERY_SLOW_AFTER_TIMEOUTS * settings.DELIVERY_TIMEOUT_MAX_SECONDS
    if in_a_row > settings.DELIVERY_SLOW_PERIOD_SECONDS:
        found.append(
            Error(
                f"DELIVERY_SLOW_PERIOD_SECONDS ({settings.DELIVERY_SLOW_PERIOD_SECONDS:g}) is shorter than "
                f"the time-outs in a row that make a receiver slow may take ({in_a_row:g} s).",
                hint="Raise it, or lower DELIVERY_SLOW_AFTER_TIMEOUTS or DELIVERY_TIMEOUT_MAX_SECONDS.",
                id="runhooks.E011",
            )
        )
    if settings.DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX > settings.DELIVERY_REQUESTS_PER_RECEIVER_MAX:
        found.append(
            Error(
                "DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX exceeds DELIVERY_REQUESTS_PER_RECEIVER_MAX.",
                hint="Lower the first or raise the second.",
                id="runhooks.E012",
            )
        )
    return found


def _retention() -> list[CheckMessage]:
    judged = settings.SUBSCRIPTION_DISABLE_AFTER_DAYS
    days = (settings.ATTEMPTS_RETENTION_DAYS, settings.EVENTS_RETENTION_DAYS)
    if all(kept == 0 or kept > judged for kept in days):
        return []
    return [
        Error(
            f"ATTEMPTS_RETENTION_DAYS and EVENTS_RETENTION_DAYS ({days[0]}, {days[1]}) must exceed "
            f"SUBSCRIPTION_DISABLE_AFTER_DAYS ({judged:g}): so long subscriptions are judged by their log.",
            hint="Raise them, or set them to 0 to keep everything.",
            id="runhooks.E013",
        )
    ]


def _production() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.PRODUCTION and not settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "ALLOWED_HOSTS is empty: every request would be refused.",
                hint="Name the hosts under which the API is reached, such as hooks.example.com.",
                id="runhooks.E006",
            )
        )
    if settings.PRODUCTION and len(settings.SECRET_KEY) < SECRET_KEY_MIN_CHARACTERS:
        found.append(
            Error(
                f"SECRET_KEY has fewer than {SECRET_KEY_MIN_CHARACTERS} characters.",
                hint="Make one: python -c 'import secrets; print(secrets.token_urlsafe(48))'",
                id="runhooks.E007",
            )
        )
    return found


def _open_in_production() -> list[CheckMessage]:
    if settings.PRODUCTION and settings.WEBHOOK_ALLOW_HTTP:
        return [
            Warning(
                "WEBHOOK_ALLOW_HTTP is on in production: webhooks may travel unencrypted.",
                hint="Unset it, or silence runhooks.W001 if all such receivers are in your own network.",
                id="runhooks.W001",
            )
        ]
    return []
