"""Events that are stored together: what becomes of the others when one cannot be, and of two at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from psycopg2.errors import DeadlockDetected
from rest_framework.test import APIClient

from delivery import custom_events as module
from delivery import outbox
from delivery.api.ingest import Asked, Ingest
from delivery.custom_events import CustomEvent, custom_events
from delivery.models import Event
from subscriptions import services
from subscriptions.api.authentication import Caller
from subscriptions.models import Organization
from tests.factories import answer
from tests.integration.conftest import CollectedWakeUps
from tests.integration.moves import aside, wait_until_blocked
from tests.integration.test_outbox import new_event


@pytest.fixture(autouse=True)
def collected(wake_ups: CollectedWakeUps) -> None:
    """Nobody is woken up."""


@pytest.fixture
def gone() -> Organization:
    """Somebody still knows it, but its row is no more."""
    made, _ = services.organization_create(name="gone", contact_email="ops@example.com")
    Organization.objects.filter(pk=made.pk).delete()
    return made


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    own = Ingest()
    yield own
    own.stop(5.0)


def reported(organization: Organization, event_id: str | None = None) -> CustomEvent:
    return CustomEvent(organization=organization, event_type="a.b", data={}, event_id=event_id)


def answers_of(ingest: Ingest, *events: CustomEvent) -> list[str]:
    """By their names, of calls that came at the same time."""
    told: list[Any] = []
    ingest._answer_all(
        [Asked(Caller(one.organization, frozenset(), None), told.append, one) for one in events]
    )
    connection.close()
    return [type(one).__name__ for one in told]


def break_at(monkeypatch: pytest.MonkeyPatch, event_id: str, error: Exception) -> None:
    whole = module._first_or_new

    def broken(one: CustomEvent) -> Event:
        if one.event_id == event_id:
            raise error
        return whole(one)

    monkeypatch.setattr(module, "_first_or_new", broken)


def stored() -> list[str]:
    return sorted(Event.objects.values_list("event_id", flat=True))


def reported_meanwhile(
    organization: Organization, events: list[CustomEvent], ids: str
) -> list[Event | Exception]:
    """What their reporter is told, who comes while another transaction stores the first of these ids."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic(), connection.cursor() as cursor:
            # If there is a deadlock, it is the other one that finds out and is ended.
            cursor.execute("SET LOCAL deadlock_timeout = '60s'")
            outbox.append(new_event(organization, event_id=ids[0], event_type="a.b"))
            waiting = aside(pool, lambda: custom_events(events))
            wait_until_blocked()
            outbox.append(new_event(organization, event_id=ids[1], event_type="a.b"))
        return waiting.result()


def test_an_organization_that_is_gone_leaves_the_others_stored_once_and_told_so(
    ingest: Ingest, organization: Organization, gone: Organization
) -> None:
    told = answers_of(ingest, reported(organization), reported(gone), reported(organization))

    assert told == ["Stored", "Counted", "Stored"]
    assert Event.objects.count() == 2


def test_a_fault_in_the_middle_is_the_answer_of_that_event_alone(
    ingest: Ingest, organization: Organization, gone: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, "b", ValueError("broken"))

    told = answers_of(ingest, *(reported(organization, id_) for id_ in "abc"), reported(gone))

    assert told == ["Stored", "Counted", "Stored", "Counted"]
    assert stored() == ["a", "c"]


def test_what_was_stored_before_the_database_went_away_is_said_to_be(
    ingest: Ingest, organization: Organization, gone: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_at(monkeypatch, "b", OperationalError("away"))

    told = answers_of(ingest, *(reported(organization, id_) for id_ in "abc"), reported(gone))

    assert told == ["Stored", *["OperationalError"] * 3]
    assert stored() == ["a"]


@pytest.mark.parametrize(
    ("error", "code", "statuses"),
    [
        (ValueError("broken"), "internal_error", [202, 500, 202]),
        (OperationalError("away"), "database_away", [202, 503, 503]),
    ],
    ids=["fault", "away"],
)
def test_a_batch_tells_of_each_event_what_became_of_it(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, statuses: list[int]
) -> None:
    break_at(monkeypatch, "b", error)
    monkeypatch.setattr(module, "_report_together", module._report_one_by_one)

    events = [{"event_type": "a.b", "data": {}, "event_id": id_} for id_ in "abc"]
    results = answer(api.post("/v1/events/batch", {"events": events}))["results"]

    assert [one["status"] for one in results] == statuses
    assert results[1]["error"]["code"] == code
    assert stored() == [one["event_id"] for one in results if one["status"] == 202]


def test_the_same_ids_in_opposite_orders_at_the_same_time_are_no_deadlock(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlocks: list[BaseException] = []

    def noted(error: BaseException) -> bool:
        deadlocks.append(error)
        return True

    monkeypatch.setattr(module, "was_deadlock", noted)

    events = [reported(organization, id_) for id_ in "ba"]

    told = reported_meanwhile(organization, events, "ab")

    assert deadlocks == []
    assert [one.event_id for one in told if isinstance(one, Event)] == ["b", "a"]
    assert stored() == ["a", "b"]


def test_whom_a_deadlock_has_ended_stores_once_more(organization: Organization) -> None:
    events = [reported(organization, id_) for id_ in "ab"]

    told = reported_meanwhile(organization, events, "ba")

    assert [one.event_id for one in told if isinstance(one, Event)] == ["a", "b"]
    assert stored() == ["a", "b"]


def test_a_single_event_that_a_deadlock_has_ended_is_stored_once_more(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, ended = outbox.append, OperationalError("deadlock detected")
    ended.__cause__ = DeadlockDetected()
    left = [ended]

    def append_or_end(new: outbox.NewEvent) -> Event:
        if left:
            raise left.pop()
        return append(new)

    monkeypatch.setattr(outbox, "append", append_or_end)

    answer(api.post("/v1/events", {"event_type": "a.b", "data": {}, "event_id": "a"}), 202)

    assert stored() == ["a"]
