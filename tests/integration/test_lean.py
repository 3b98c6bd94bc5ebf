"""The short way of POST /v1/events: it answers what is plain as the ordinary way would, and nothing else."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event as Flag
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from delivery.api import ingest as ingest_module
from delivery.api import lean, lean_loop
from delivery.api.ingest import Asked, Ingest
from delivery.custom_events import CustomEvent
from delivery.models import Delivery, Event
from delivery.queue import WakeUp
from subscriptions import known_keys
from subscriptions.api.authentication import Caller as AuthenticatedCaller
from subscriptions.models import Organization, Scope
from tests.factories import at_once
from tests.integration.reporting import EVENT, Caller, ServedCaller, noting
from tests.integration.test_recorder import move_database_away
from tests.served import served


@pytest.fixture(autouse=True)
def limits(kept_and_counted: None) -> None:
    """Before anything else that a test asks for."""


@pytest.fixture(autouse=True)
def own_ingest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingest]:
    own = Ingest()
    for transport in (lean, lean_loop):
        monkeypatch.setattr(transport, "ingest", lambda: own)
    lean.common_headers.cache_clear()
    lean.middleware.cache_clear()
    yield own
    own.stop(5.0)
    known_keys.clear()


@pytest.fixture(params=["wsgi", "asgi"])
def new_caller(request: pytest.FixtureRequest, own_ingest: Ingest) -> Iterator[Callable[..., Caller]]:
    """Makes callers of the one kind of server or of the other: both have to answer alike."""
    if request.param == "wsgi":
        yield Caller
        return
    went_on: set[str] = set()
    with served(noting(went_on)) as port:
        yield lambda organization, scopes: ServedCaller(organization, scopes, port, went_on)


@pytest.fixture
def call(organization: Organization, wake_ups: list[WakeUp], new_caller: Callable[..., Caller]) -> Caller:
    return new_caller(organization, [Scope.RUNS_WRITE, Scope.WEBHOOKS_READ])


@pytest.fixture
def wsgi_call(organization: Organization, wake_ups: list[WakeUp]) -> Caller:
    return Caller(organization, [Scope.RUNS_WRITE, Scope.WEBHOOKS_READ])


def test_the_answer_is_that_of_the_ordinary_way(call: Caller) -> None:
    short = call()
    ordinary = call(QUERY_STRING="a=1")

    assert (short.was_short, ordinary.was_short) == (True, False)
    assert short.status == ordinary.status == "202 Accepted"
    assert short.body.keys() == ordinary.body.keys()
    changing = ("x-ratelimit-remaining", "x-ratelimit-reset")
    assert short.headers.keys() == ordinary.headers.keys()
    for name in short.headers.keys() - changing:
        assert short.headers[name] == ordinary.headers[name], name


def test_what_is_stored_is_that_of_the_ordinary_way(
    call: Caller, subscribe: Callable[..., Any], wake_ups: list[WakeUp]
) -> None:
    subscribe(events=["invoice.paid"])
    subscribe(events=["*"])

    told = [call().body, call(QUERY_STRING="a=1").body]

    short, ordinary = (Event.objects.get(event_id=one["event_id"]) for one in told)
    assert [one["subscriptions"] for one in told] == [2, 2]
    for name in ("organization_id", "type", "source", "subject", "is_test", "recipients"):
        assert getattr(short, name) == getattr(ordinary, name), name
    bodies = [json.loads(bytes(event.bodies.get().body)) for event in (short, ordinary)]
    assert bodies[0]["data"] == bodies[1]["data"] == EVENT["data"]
    assert {wake_up.delivery_id for wake_up in wake_ups} == set(Delivery.objects.values_list("id", flat=True))


@pytest.mark.parametrize(
    "out_of_the_ordinary",
    [
        {"QUERY_STRING": "format=json"},
        {"HTTP_IDEMPOTENCY_KEY": "once"},
        {"HTTP_X_ORG_ID": "org_other"},
        {"HTTP_COOKIE": "sessionid=1"},
        {"HTTP_ACCEPT": "text/html"},
        {"CONTENT_TYPE": "text/plain"},
        {"CONTENT_TYPE": "application/json; charset=latin-1"},
        {"HTTP_HOST": "elsewhere.example"},
        {"HTTP_AUTHORIZATION": "Bearer rhk_unknown"},
        {"HTTP_AUTHORIZATION": "Basic eDp5"},
        {"HTTP_AUTHORIZATION": ""},
    ],
    ids=str,
)
def test_a_call_that_is_not_plain_is_left_to_the_ordinary_way(
    call: Caller, out_of_the_ordinary: dict[str, Any]
) -> None:
    assert not call(**out_of_the_ordinary).was_short


@pytest.mark.parametrize("length", ["12", "1000000000", "-1", "5 "])
def test_a_length_that_is_not_the_bodys_is_left_to_the_ordinary_way(wsgi_call: Caller, length: str) -> None:
    assert not wsgi_call(CONTENT_LENGTH=length).was_short


def test_a_body_that_takes_long_to_read_is_left_to_the_ordinary_way(call: Caller) -> None:
    def body(size: int) -> bytes:
        event = {"event_type": "invoice.paid", "data": {"text": ""}}
        event["data"] = {"text": "x" * (size - len(json.dumps(event)))}
        return json.dumps(event).encode()

    answered = [call(body=body(lean.BODY_MAX_BYTES + more)) for more in (0, 1)]

    assert [one.was_short for one in answered] == [True, False]
    assert {one.status for one in answered} == {"202 Accepted"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"event_type": "invoice.paid", "data": {"a": NaN}}',
        b'{"event_type": "invoice.paid", "data": {"a": 1e999}}',
        b'{"event_type": "invoice.paid", "data": ' + b'{"a":' * 200 + b"1" + b"}" * 201,
        b'{"event_type": "invoice.paid", "data": []}',
        b'{"event_type": "invoice.paid", "data": null}',
        b'{"event_type": "invoice.paid"}',
        b'{"data": {}}',
        b'{"event_type": "workflow.completed", "data": {}}',
        b'{"event_type": "subscription.x", "data": {}}',
        b'{"event_type": "no spaces", "data": {}}',
        b'{"event_type": 1, "data": {}}',
        b'{"event_type": "' + b"a" * 200 + b'", "data": {}}',
        b'{"event_type": "invoice.paid", "data": {}, "event_id": null}',
        b'{"event_type": "invoice.paid", "data": {}, "event_id": ""}',
        b'{"event_type": "invoice.paid", "data": {}, "event_id": "a.b"}',
        b'{"event_type": "invoice.paid", "data": {}, "event_id": 1}',
        b'{"event_type": "invoice.paid", "data": {}, "more": 1}',
    ],
    ids=lambda body: body[:70].decode(errors="replace"),
)
def test_what_the_ordinary_way_refuses_it_refuses_itself_with_the_whole_body(
    call: Caller, body: bytes
) -> None:
    answered = call(body=body)

    assert not answered.was_short
    assert answered.status[:3] in ("400", "422")
    assert answered == call(body=body, QUERY_STRING="a=1")._replace(headers=answered.headers)
    assert not Event.objects.exists()


def test_a_key_that_was_not_seen_before_is_looked_up_the_ordinary_way(call: Caller) -> None:
    known_keys.clear()

    assert [call().was_short, call().was_short] == [False, True]


def test_a_key_without_the_scope_is_refused_the_ordinary_way(
    organization: Organization, new_caller: Callable[..., Caller]
) -> None:
    answered = new_caller(organization, [Scope.WEBHOOKS_READ])()

    assert (answered.was_short, answered.status) == (False, "403 Forbidden")


def test_calls_at_the_same_time_are_one_transaction(
    call: Caller, own_ingest: Ingest, monkeypatch: pytest.MonkeyPatch, subscribe: Callable[..., Any]
) -> None:
    subscribe(events=["*"])
    call()  # so that the connection is there and knows its statements
    sizes: list[int] = []
    statements: list[int] = []
    gate = Flag()
    stored = ingest_module._stored

    def watched(calls: Any, verdicts: Any) -> Any:
        sizes.append(len(calls))
        gate.wait(5.0)
        connection.force_debug_cursor = True
        with CaptureQueriesContext(connection) as seen:
            answers = stored(calls, verdicts)
        statements.append(len(seen))
        return answers

    monkeypatch.setattr(ingest_module, "_stored", watched)

    put, asked = own_ingest.put, []

    def counted(one: Any) -> None:
        put(one)
        asked.append(one)
        if len(asked) == 6:
            gate.set()

    monkeypatch.setattr(own_ingest, "put", counted)

    answered = at_once(*[call] * 6)

    assert all(one.was_short for one in answered)
    assert len({one.body["event_id"] for one in answered}) == 6
    # Whoever came while the first was under way, which waited for all to have come.
    assert len(sizes) <= 2
    # BEGIN, who wants it, the rows, COMMIT: for one as for five.
    assert set(statements) == {statements[0]}


def test_an_event_loop_is_woken_up_once_for_a_batch_when_each_of_its_calls_has_an_answer(
    own_ingest: Ingest, organization: Organization
) -> None:
    told: list[str] = []
    calls = [
        Asked(
            AuthenticatedCaller(organization, frozenset(), None),
            lambda answer: told.append(type(answer).__name__),
            CustomEvent(organization=organization, event_type="invoice.paid", data={}),
            tell=tell,
        )
        for tell in (lambda: told.append("woken up"),)
        for _ in range(5)
    ]

    own_ingest._answer_all(calls)

    assert told == ["Stored"] * 5 + ["woken up"]


def test_a_call_is_answered_when_its_event_is_committed_and_not_before(
    call: Caller, own_ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, seen_by_others = own_ingest.put, []

    def watched(asked: Asked) -> None:
        def answer(told: Any) -> None:
            # In a thread of its own, so with a connection of its own.
            seen_by_others.extend(at_once(Event.objects.filter(pk=told.event.pk).exists))
            asked.answer(told)

        put(replace(asked, answer=answer))

    monkeypatch.setattr(own_ingest, "put", watched)

    answered = call()

    assert (answered.was_short, answered.status) == (True, "202 Accepted")
    assert seen_by_others == [True]


def test_the_same_event_id_in_calls_at_the_same_time_is_one_event(
    call: Caller, subscribe: Callable[..., Any]
) -> None:
    subscribe(events=["*"])
    body = json.dumps(EVENT | {"event_id": "order-1"}).encode()

    answered = at_once(*[lambda: call(body=body)] * 5)

    assert [one.body for one in answered] == [{"event_id": "order-1", "subscriptions": 1}] * 5
    assert Delivery.objects.count() == 1


def test_an_id_that_was_used_for_another_type_is_a_conflict(call: Caller) -> None:
    call(body=json.dumps(EVENT | {"event_id": "order-1"}).encode())

    answered = call(body=json.dumps(EVENT | {"event_id": "order-1", "event_type": "a.b"}).encode())

    assert (answered.status, answered.body["code"]) == ("409 Conflict", "event_id_taken")


def test_tenants_that_call_at_the_same_time_get_their_own(
    organization: Organization,
    other_organization: Organization,
    wake_ups: list[WakeUp],
    new_caller: Callable[..., Caller],
) -> None:
    callers = [new_caller(one, [Scope.RUNS_WRITE]) for one in (organization, other_organization)]
    body = json.dumps(EVENT | {"event_id": "order-1"}).encode()

    answered = at_once(*[lambda caller=caller: caller(body=body) for caller in callers for _ in range(3)])

    assert {one.status for one in answered} == {"202 Accepted"}
    assert sorted(Event.objects.values_list("organization_id", "event_id")) == sorted(
        (one.pk, "order-1") for one in (organization, other_organization)
    )


def test_calls_are_counted_and_refused_beyond_the_rate(call: Caller, settings: Settings) -> None:
    settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS = 0.01, 4

    answered = [call() for _ in range(5)]

    assert [one.headers["x-ratelimit-remaining"] for one in answered] == ["3", "2", "1", "0", "0"]
    assert [one.status[:3] for one in answered] == ["202"] * 4 + ["429"]
    assert int(answered[-1].headers["retry-after"]) > 90


def test_a_call_that_is_handed_over_is_counted_once(call: Caller, settings: Settings) -> None:
    settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS = 0.01, 9
    known, taken = (
        json.dumps(EVENT | {"event_id": "order-1", "event_type": name}).encode() for name in ("a.b", "a.c")
    )

    answered = [call(body=known), call(body=taken), call(body=taken, QUERY_STRING="a=1"), call(body=known)]

    assert [one.was_short for one in answered] == [True, False, False, True]
    assert [one.status[:3] for one in answered] == ["202", "409", "409", "202"]
    assert [one.headers["x-ratelimit-remaining"] for one in answered] == ["8", "7", "6", "5"]


def test_a_database_that_is_away_is_said_at_once_and_in_the_common_shape(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        move_database_away(away)
        answered = call()

    assert answered.was_short
    assert (answered.status, answered.headers["retry-after"]) == ("503 Service Unavailable", "5")
    assert answered.body["code"] == "database_away"


def test_a_fault_in_common_work_leaves_each_call_to_the_ordinary_way(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(calls: Any, verdicts: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(ingest_module, "_stored", broken)

    answered = call()

    assert (answered.was_short, answered.status) == (False, "202 Accepted")
    assert Event.objects.count() == 1


def test_redirects_to_https_are_as_the_settings_say(wsgi_call: Caller, settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    wsgi_call.django = get_wsgi_application()

    assert wsgi_call(**dict[str, Any]({"wsgi.url_scheme": "https"})).was_short
    assert wsgi_call().status == "301 Moved Permanently"
