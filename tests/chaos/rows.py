"""Reads what the database has on record."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from tests.chaos.records import AttemptRow, DeliveryRow, EventRow

OPEN = """
SELECT count(*) + (SELECT count(*) FROM delivery_fanout) FROM delivery_delivery
WHERE state IN ('pending', 'waiting')
"""
EVENTS = "SELECT event_id, type, subject, recipients FROM delivery_event WHERE NOT is_test"
DELIVERIES = """
SELECT d.id::text, e.event_id, d.webhook_id, d.url, d.state, d.reason, d.attempts, d.claim_number,
       coalesce((d.callback ->> 'timeout_seconds')::float8, s.timeout_seconds),
       extract(epoch FROM d.created_at)::float8, extract(epoch FROM d.finished_at)::float8, b.body
FROM delivery_delivery d
JOIN delivery_event e ON e.id = d.event_id
JOIN delivery_eventbody b ON b.id = d.body_id
LEFT JOIN subscriptions_subscription s ON s.id = d.subscription_id
"""
ATTEMPTS = """
SELECT delivery_id::text, number, success, status_code, error_class, late, request_headers,
       extract(epoch FROM created_at)::float8, extract(epoch FROM next_retry_at)::float8, duration_ms
FROM delivery_attempt ORDER BY id
"""


class Rows:
    """The stack's database."""

    def __init__(self, url: str, *, lease_margin_seconds: float) -> None:
        self._url = url
        self._margin = lease_margin_seconds

    def open_deliveries(self) -> int:
        return int(self._all(OPEN)[0][0])

    def events(self) -> list[EventRow]:
        return [
            EventRow(event_id=event_id, type=type_, subject=subject, recipients=recipients)
            for event_id, type_, subject, recipients in self._all(EVENTS)
        ]

    def deliveries(self) -> list[DeliveryRow]:
        return [self._delivery(*row) for row in self._all(DELIVERIES)]

    def attempts(self) -> list[AttemptRow]:
        return [_attempt(*row) for row in self._all(ATTEMPTS)]

    def _delivery(self, *row: Any) -> DeliveryRow:
        id_, event_id, webhook_id, url, state, reason, attempts, claims, timeout, created, finished, body = (
            row
        )
        return DeliveryRow(
            id=id_,
            event_id=event_id,
            webhook_id=webhook_id,
            path=urlsplit(url).path,
            state=state,
            reason=reason,
            attempts=attempts,
            claim_number=claims,
            lease_seconds=timeout + self._margin,
            created=created,
            finished=finished,
            body=bytes(body),
        )

    def _all(self, query: str) -> Sequence[tuple[Any, ...]]:
        with (
            closing(psycopg2.connect(self._url, connect_timeout=10)) as database,
            database.cursor() as cursor,
        ):
            cursor.execute(query)
            return cursor.fetchall()


def _attempt(*row: Any) -> AttemptRow:
    delivery_id, number, success, status, error_class, late, headers, recorded, next_retry, duration = row
    headers = json.loads(headers) if isinstance(headers, str) else headers
    return AttemptRow(
        delivery_id=delivery_id,
        number=number,
        success=success,
        status_code=status,
        error_class=error_class,
        late=late,
        timestamp=headers.get("webhook-timestamp", ""),
        recorded=recorded,
        next_retry=next_retry,
        duration_seconds=(duration or 0) / 1000,  # none where nothing was sent
    )
