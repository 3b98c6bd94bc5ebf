"""The retention reads little but what it deletes, however large the tables are."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from delivery.models import Event
from delivery.retention import batches
from subscriptions.models import Organization
from tests.integration.test_queries import plan
from webhooks_project.arrays import array

# Two events in three of organizations that are not there; a quarter of the deliveries have not ended.
FILL = """
WITH numbers AS (SELECT n, CASE WHEN n %% 3 = 0 THEN %(organization)s ELSE 1000000 + n %% 20 END AS owner,
                        uuidv7(interval '-200 days' + n * interval '1 minute') AS id
                 FROM generate_series(1, 20000) n),
events AS (
    INSERT INTO delivery_event (
        id, organization_id, event_id, type, source, subject, is_test, recipients, occurred_at)
    SELECT id, owner, 'e' || n, 'a.b', '', '', false, 1, now() FROM numbers
), bodies AS (
    INSERT INTO delivery_eventbody (id, event_id, payload_format, body)
    SELECT id, id, 'standard', '{}' FROM numbers
), deliveries AS (
    INSERT INTO delivery_delivery (
        id, organization_id, event_id, body_id, callback, url, webhook_id, is_test, lane, state, reason,
        attempts, once, finished_at, claim_number, nudges)
    SELECT id, owner, id, id, '{}', 'http://h/', 'e', false, 'first',
           CASE WHEN n %% 4 = 0 THEN 'waiting' ELSE 'delivered' END, '', 1, false,
           CASE WHEN n %% 4 > 0 THEN now() - interval '190 days' END, 1, 0 FROM numbers
)
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, event_id, event_type, url, number, success, error_class, error_message,
    request_headers, response_headers, is_test, late)
SELECT id, owner, id, 'e', 'a.b', 'http://h/', 1, true, '', '', '{}', '{}', false, false FROM numbers
"""


@pytest.mark.parametrize("is_counted", [False, True])
def test_every_statement_finds_its_rows_by_an_index(organization: Organization, is_counted: bool) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # there are no such organizations
        cursor.execute(FILL, {"organization": organization.pk})
    with connection.cursor() as cursor:
        if is_counted:
            cursor.execute("ANALYZE delivery_event, delivery_eventbody, delivery_delivery, delivery_attempt")
    ids = array(
        Event.objects.filter(organization=organization).order_by("pk").values_list("pk", flat=True)[:100]
    )
    some: dict[str, Any] = {
        "organization": organization.pk,
        "cursor": batches.NOTHING,
        "rows": 100,
        "ids": ids,
    }
    some |= {"before": batches.before(timezone.now(), 90)}

    with batches.limited():
        plans = {
            sql: plan(sql, some | {"ended_before": "infinity"})
            for sql in (
                *(
                    batches.OLD_EVENTS,
                    batches.LOCK,
                    batches.OVER,
                    batches.OVER_AND_COUNTED,
                    *batches.DELETES.values(),
                ),
                *(batches.OLD_ATTEMPTS, batches.DELETE_ATTEMPTS),
            )
        }

    for sql, text in plans.items():
        assert "Seq Scan" not in text, f"{sql}\n{text}"
        assert "delivery_due" not in text, text
    assert "event_listed" in plans[batches.OLD_EVENTS]
    assert "attempt_of_organization" in plans[batches.OLD_ATTEMPTS]
