"""The hot path's statements, pinned, and the indexes that serve large tables."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from delivery import cancel, claim, recorder, requeue, selectors, slow_rows
from delivery.custom_events import CustomEvent, custom_events
from delivery.database import PLANNED_ONCE
from delivery.deliver import Again
from delivery.loop.stages import BY_KEY_ONLY
from delivery.models import Attempt, Delivery
from delivery.replays.chunks import advance
from delivery.replays.filter import ReplayFilter
from delivery.replays.plan import NewReplay
from delivery.replays.services import replay_create
from runs.moves import Report
from runs.states import Move
from runs.transitions import report_run
from subscriptions.ids import uuid7
from subscriptions.models import Organization, Subscription
from subscriptions.selectors import RECIPIENTS, matching
from tests.integration.test_outbox import CALLBACK, happen, running_run
from tests.receiver import Receiver
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

Subscribe = Callable[..., Subscription]
Attempting = Callable[..., Again | None]

_TABLE = re.compile(r'(?:FROM|INTO|UPDATE)\s+"?([a-z]+_[a-z]+)\b(?!\()"?')

CLAIM, RECORD = "EXECUTE runhooks_claim", "EXECUTE runhooks_record"

COMPLETE = [
    "BEGIN",
    "EXECUTE runhooks_hold_runs",
    "EXECUTE runhooks_recipients",
    "EXECUTE runhooks_write_runs",
    # The event, its bodies and its deliveries.
    "EXECUTE runhooks_store",
    "COMMIT",
]


def statements(captured: CaptureQueriesContext) -> list[str]:
    """Verb and first table of each statement, such as `INSERT delivery_event`."""
    shapes = []
    for query in captured.captured_queries:
        if query["sql"].startswith("PREPARE "):  # once per connection
            continue
        if query["sql"].startswith("EXECUTE "):
            shapes.append(query["sql"].partition("(")[0].strip())
            continue
        table = _TABLE.search(query["sql"])
        shapes.append(" ".join([query["sql"].split()[0].strip(";"), *(table.groups() if table else ())]))
    return shapes


def test_completing_a_run_with_one_subscription(
    api: APIClient, organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    run = running_run(api)

    with CaptureQueriesContext(connection) as captured:
        report_run(organization=organization, run_id=run.public_id, move=Move.COMPLETE, report=Report())

    assert statements(captured) == COMPLETE


def test_the_number_of_subscriptions_does_not_change_the_number_of_statements(
    api: APIClient, organization: Organization, subscribe: Subscribe
) -> None:
    for _ in range(20):
        subscribe()
    run = running_run(api)

    with CaptureQueriesContext(connection) as captured:
        report_run(organization=organization, run_id=run.public_id, move=Move.COMPLETE, report=Report())

    assert statements(captured) == COMPLETE


def test_events_that_came_together_are_two_statements_each_a_transaction_of_its_own(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    told = [CustomEvent(organization=organization, event_type="order.paid", data={}) for _ in range(9)]

    with CaptureQueriesContext(connection) as captured:
        custom_events(told)

    assert statements(captured) == ["EXECUTE runhooks_recipients", "EXECUTE runhooks_store"]


def test_events_and_what_is_held_of_them_commit_together(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    Subscription.objects.filter(pk=subscribe().pk).update(disabled_at=Now(), disabled_reason="gone")
    told = [CustomEvent(organization=organization, event_type="order.paid", data={}) for _ in range(9)]

    with CaptureQueriesContext(connection) as captured:
        custom_events(told)

    lock = "SELECT subscriptions_subscription"
    stored = ["BEGIN", lock, "EXECUTE runhooks_store", "COMMIT"]
    assert statements(captured) == ["EXECUTE runhooks_recipients", *stored]


def test_an_attempt_is_a_claim_and_a_record_and_the_receiver_is_read_once(
    organization: Organization, subscribe: Subscribe, attempt: Attempting
) -> None:
    subscribe()
    deliveries = [happen(organization).deliveries.get() for _ in range(2)]

    with CaptureQueriesContext(connection) as first:
        attempt(deliveries[0])
    with CaptureQueriesContext(connection) as second:
        attempt(deliveries[1])

    # The subscription and its secrets in one statement, so that they belong together.
    assert statements(first) == [CLAIM, "EXECUTE runhooks_receivers", RECORD]
    assert statements(second) == [CLAIM, RECORD]


def test_an_attempt_of_a_callback_reads_its_keys(
    organization: Organization, attempt: Attempting, receiver: Receiver
) -> None:
    delivery = happen(organization, CALLBACK).deliveries.get()

    with CaptureQueriesContext(connection) as captured:
        attempt(delivery)

    keys = "SELECT subscriptions_signingsecret"
    assert statements(captured) == [CLAIM, keys, RECORD]


def test_a_message_that_comes_too_late_costs_one_statement(
    organization: Organization, subscribe: Subscribe, attempt: Attempting
) -> None:
    subscribe()
    delivery = happen(organization).deliveries.get()
    attempt(delivery)

    with CaptureQueriesContext(connection) as captured:
        attempt(delivery)

    assert statements(captured) == [CLAIM]


DELIVERIES = """
INSERT INTO delivery_delivery (
    id, organization_id, event_id, body_id, subscription_id, url, webhook_id, is_test, lane, state, reason,
    attempts, once, finished_at, next_attempt_at, claim_number, nudges
)
SELECT uuidv7(), CASE WHEN n %% 250 = 0 THEN 7 ELSE 1000 + n %% 20 END, %(event)s, %(body)s,
       CASE WHEN n %% 250 = 0 THEN 1 + n / 250 %% 10 ELSE 1000 + n %% 200 END,
       'http://127.0.0.1/', 'evt', false,
       (ARRAY['first', 'retry', 'replay'])[1 + n %% 3],
       CASE WHEN n %% 26 = 0 THEN 'waiting' ELSE 'delivered' END, '', 1, false,
       CASE WHEN n %% 26 > 0 THEN now() END, now() + interval '1 second' * (n - 1000), 1, 0
FROM generate_series(1, 50000) n
"""
ATTEMPTS = """
INSERT INTO delivery_attempt (
    id, organization_id, delivery_id, subscription_id, event_id, event_type, url, number, success,
    error_class, error_message, request_headers, response_headers, duration_ms, is_test, late
)
SELECT uuidv7(), d.organization_id, d.id, d.subscription_id, 'evt',
       (ARRAY['order.paid', 'order.refunded', 'a', 'b', 'c'])[1 + d.subscription_id %% 5],
       d.url, 1, true, '', '', '{}', '{}', 1, false, false
FROM delivery_delivery d WHERE d.subscription_id IS NOT NULL ORDER BY d.id
"""


def fill(organization: Organization, *, count: bool = True) -> Delivery:
    """50,000 deliveries and attempts: a small organization, number 7, among large ones."""
    event = happen(organization, CALLBACK)
    body = event.bodies.get()
    with connection.cursor() as cursor:
        cursor.execute(DELIVERIES, {"event": event.id, "body": body.id})
        cursor.execute(ATTEMPTS, {})
        if count:
            cursor.execute("ANALYZE delivery_delivery, delivery_attempt")
    return Delivery.objects.filter(organization_id=7)[0]


# What PostgreSQL asks for each delivery that is deleted, to keep the foreign key of `replay_of`.
CHECK_OF_A_DELETE = "SELECT 1 FROM ONLY delivery_delivery x WHERE %s = replay_of_id FOR KEY SHARE OF x"


def plan(sql: str, parameters: dict[str, Any] | list[Any]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", parameters)
        return "\n".join(row[0] for row in cursor.fetchall())


def generic_plan(statement: Statement, parameters: dict[str, Any]) -> str:
    """As the engine's connections have it: whatever the values will be."""
    statement.run(parameters)
    names = [f"%({name})s" for name in statement.parameters]
    return plan(f"EXECUTE {statement.name} ({', '.join(names)})", parameters)


def plan_of(rows: QuerySet[Any]) -> str:
    return rows[:50].explain()


def test_large_tables_are_read_by_the_indexes_made_for_it(organization: Organization) -> None:
    one = fill(organization)
    seventh = Organization(pk=7)
    attempts, deliveries = selectors.attempts(seventh), selectors.deliveries(seventh)
    due = {
        "lane": "retry",
        "grace": settings.REQUEUE_GRACE_SECONDS,
        "backoff": settings.REQUEUE_BACKOFF_SECONDS,
        "doublings": requeue.DOUBLINGS_MAX,
        "rows": 100,
    }
    stop = cancel.CANCEL.replace("{condition}", "d.subscription_id = %(subscription_id)s")
    stopped = {"reason": "r", "message": "m", "error_class": "cancelled", "subscription_id": 6}
    released = {"organization_id": 7, "spellings": ["https://h"], "rows": 9, "before": 0, "rate": 1.0}
    held = Delivery.objects.filter(state="held", held_at__lt=Now()).order_by("held_at")

    plans = {
        "delivery_due": plan(requeue.MARK.format(condition=requeue.LOST), due | {"look": 0.0}),
        "delivery_due ": plan(requeue.IS_ANY_OVERDUE, due),
        " delivery_due": plan(requeue.TOLD, due | {"depth": 10}),
        " delivery_due ": plan(slow_rows.RELEASE, released),
        "delivery_unfinished": plan(stop, stopped),
        "delivery_held": plan_of(held),
        "delivery_listed": plan_of(deliveries),
        "delivery_of_subscription": plan_of(Delivery.objects.filter(subscription_id=6).order_by("-id")),
        "delivery_replays": plan(CHECK_OF_A_DELETE, [one.id]),
        "attempt_of_organization": plan_of(attempts),
        "attempt_of_subscription": plan_of(attempts.filter(subscription_id=6)),
        "attempt_of_event_type": plan_of(attempts.filter(event_type="order.paid")),
        "attempt_of_delivery": plan_of(Attempt.objects.filter(delivery=one).order_by("id")),
    }

    missed = {index: text for index, text in plans.items() if f"using {index.strip()}" not in text}
    missed = {index: text for index, text in missed.items() if f"on {index.strip()}" not in text}
    assert missed == {}
    assert not [text for text in plans.values() if "Seq Scan on delivery_delivery" in text]
    assert not [text for text in plans.values() if "Seq Scan on delivery_attempt" in text]


def test_a_chunk_of_a_replay_reads_a_bounded_part_of_large_tables_by_their_indexes(
    organization: Organization,
) -> None:
    fill(organization)
    with CaptureQueriesContext(connection) as captured:
        for wanted in ({"since": timezone.now() - timedelta(days=1)}, {"subscription_id": 6}):
            new = NewReplay(organization=None, filter=ReplayFilter(**wanted), include_delivered=True)
            made, _ = replay_create(new, count_seconds=None)
            advance(made.pk)

    chunks = [query["sql"] for query in captured if 'AS "skip"' in query["sql"] or "MAX(" in query["sql"]]
    assert len(chunks) == 4
    for sql in chunks:
        found = plan(sql.replace("%", "%%"), {})
        assert "Seq Scan on delivery_delivery" not in found, found
        # The few deliveries of an event, not the many that are unfinished, decide what is skipped.
        assert "delivery_unfinished" not in found, found


@pytest.mark.parametrize("rows", ["none", "not_counted", "counted"])
def test_the_engine_claims_and_records_row_by_row_whatever_is_known_of_the_tables(
    organization: Organization, rows: str
) -> None:
    if rows != "none":
        fill(organization, count=rows == "counted")
    keys = array([uuid7() for _ in range(64)])
    asked = {"ids": keys, "attempts": array([1] * 64), "margin": 5.0, "timeout": 10.0, "spread": 5.0}
    given = {name: array([None] * 64) for name in recorder.TYPES} | {"id": keys, "delivery_id": keys}

    with connection.cursor() as cursor:
        cursor.execute(BY_KEY_ONLY)
    plans = [generic_plan(claim.CLAIM, asked), generic_plan(recorder.RECORD, given)]
    away = [keys, *(array([value] * 64) for value in (1, "receiver_busy", 1.0, None))]
    plans.append(plan(recorder.POSTPONE, away))
    connection.close()

    for text in plans:
        assert "delivery_delivery_pkey on delivery_delivery" in text, text
        assert "Seq Scan" not in text
        assert "delivery_due" not in text


@pytest.mark.parametrize("is_counted", [False, True])
def test_who_asked_for_an_event_is_found_by_the_organization(subscribe: Subscribe, is_counted: bool) -> None:
    subscribe()
    others = """INSERT INTO subscriptions_subscription
        SELECT (jsonb_populate_record(s, jsonb_build_object('id', n, 'organization_id', n / 10))).*
        FROM subscriptions_subscription s, generate_series(100000, 119999) n"""
    asked = matching(organization_id=10_500, event_type="order.paid", workflow_id="") | {"most": 101}

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {PLANNED_ONCE.removeprefix('SET ')}; {others}")
        if is_counted:
            cursor.execute("ANALYZE subscriptions_subscription")
        text = generic_plan(RECIPIENTS, asked)
        transaction.set_rollback(True)  # there are no such organizations
    connection.close()

    assert "Index Cond: (organization_id = " in text, text
