"""Rows of the log as attempts of any time would have left them, and their counts."""

import secrets
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

from django.db import connection
from django.utils import timezone

from delivery.stats import roll_up
from subscriptions.ids import uuid7

INSERT = """
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, subscription_id, event_id, event_type, url, number, success,
    status_code, error_class, error_message, request_headers, response_headers, duration_ms, is_test, late,
    next_retry_at, created_at)
VALUES (%(id)s, %(organization_id)s, %(delivery_id)s, %(subscription_id)s, 'evt', 'order.paid', 'https://h/',
        %(number)s, %(success)s, %(status_code)s, %(error_class)s, '', '{}', '{}', %(duration_ms)s,
        %(is_test)s, %(late)s, %(next_retry_at)s, coalesce(%(at)s, statement_timestamp()))
"""
DEFAULTS: dict[str, Any] = {
    "organization_id": 7,
    "subscription_id": 70,
    "number": 1,
    "status_code": 204,
    "error_class": "",
    "duration_ms": 30.0,
    "is_test": False,
    "late": False,
    "next_retry_at": None,
}
FAILED: dict[str, Any] = {"status_code": 503, "error_class": "http_status"}
TIMED_OUT: dict[str, Any] = {"status_code": None, "error_class": "timeout", "duration_ms": 10_000.0}


def attempted(
    times: int = 1, *, at: datetime | None = None, waited_ms: float = 0.0, on: Any = connection, **values: Any
) -> None:
    """Attempts that ended at this time, else now, so long after their delivery was made."""
    row = DEFAULTS | values
    row["success"] = not row["error_class"]
    waited = timedelta(milliseconds=waited_ms + (row["duration_ms"] or 0.0))
    with on.cursor() as cursor:
        for _ in range(times):
            made = made_at((at or timezone.now()) - waited)
            cursor.execute(INSERT, row | {"id": uuid7(), "delivery_id": made, "at": at})


def made_at(at: datetime) -> UUID:
    """A key of that time."""
    milliseconds = int(at.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62 | secrets.randbits(62))


def count(*, unseen_seconds: float = 0.0) -> int:
    """What was written is counted at once, unless somebody may still be writing."""
    with patch.object(roll_up, "UNSEEN_SECONDS", unseen_seconds):
        return roll_up.roll_up()
