"""From the call that reports an event to each of its attempts, as a collector sees it."""

from collections.abc import Iterator

import pytest
import requests

from local import temporary
from local.stack import Stack, StackConfig
from tests.collector import Collector, attributes
from tests.e2e.conftest import Api
from tests.receiver import Receiver

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CALLER.split("-")[1:3]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def stack(collector: Collector) -> Iterator[Stack]:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "FAN_OUT_AT_ONCE_MAX": "2",
    }
    with (
        temporary.folder() as folder,
        Stack(StackConfig(data_dir=folder, workers=1, concurrency=16, env=env)) as running,
    ):
        yield running


def report(api: Api, event_type: str) -> str:
    """Report an event as part of a trace of the caller's; its id."""
    answer = requests.post(
        f"{api.stack.base_url}/v1/events",
        json={"event_type": event_type, "data": {}},
        headers={"Authorization": api.authorization, "traceparent": CALLER},
        timeout=20,
    )
    assert answer.status_code == 202
    event_id: str = answer.json()["event_id"]
    return event_id


def test_an_event_is_one_trace_from_the_call_to_its_last_attempt(
    api: Api, collector: Collector, receiver: Receiver
) -> None:
    receiver.reply(503, 204, path="/traced")
    subscription = api.subscribe(
        receiver.url("/traced"),
        events=["trace.one"],
        retry_schedule=[0.2],
        headers={"Traceparent": "of-the-customer"},
    )

    event_id = report(api, "trace.one")

    attempts = collector.wait_for(2, "attempt trace.one")
    (event,) = collector.wait_for(1, "event trace.one")
    calls = {span.span_id: span for span in collector.wait_for(1, "POST /v1/events")}
    call = calls[event.links[0].span_id]
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, SPAN)
    assert attributes(call)["http.response.status_code"] == 202
    assert [(link.trace_id, link.span_id) for link in call.links] == [(event.trace_id, event.span_id)]
    assert [(link.trace_id, link.span_id) for link in event.links] == [(call.trace_id, call.span_id)]
    assert attributes(event)["runhooks.event"] == event_id
    assert {span.trace_id for span in attempts} == {event.trace_id}
    assert {span.parent_span_id for span in attempts} == {event.span_id}
    first, second = sorted(attempts, key=lambda span: span.start_time_unix_nano)
    assert (attributes(first)["runhooks.attempt"], attributes(second)["runhooks.attempt"]) == (1, 2)
    assert attributes(first)["http.response.status_code"] == 503
    assert attributes(first)["error.type"] == "http_status"
    assert attributes(first)["runhooks.subscription"] == int(subscription["id"])
    assert attributes(second)["runhooks.state"] == "delivered"
    for request, span in zip(receiver.at("/traced"), (first, second), strict=True):
        sent = f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
        assert request.headers.get_all("traceparent") == [sent]


def test_what_a_run_tells_is_linked_with_the_report(
    api: Api, collector: Collector, receiver: Receiver
) -> None:
    api.subscribe(receiver.url("/runs"), events=["workflow.started"])
    workflow = api.post("/v1/workflows", {"name": "Traced"})
    run = api.post("/v1/runs", {"workflow_id": workflow["id"]})

    api.post(f"/v1/runs/{run['id']}/start")

    (attempt,) = collector.wait_for(1, "attempt workflow.started")
    (event,) = collector.wait_for(1, "event workflow.started")
    calls = {span.span_id: span for span in collector.spans if span.links and span.name.startswith("POST")}
    assert attempt.trace_id == event.trace_id
    assert "start" in calls[event.links[0].span_id].name
    assert run["id"] not in calls[event.links[0].span_id].name


def test_the_making_of_many_deliveries_is_a_span_of_the_event(
    api: Api, collector: Collector, receiver: Receiver
) -> None:
    for number in range(4):
        api.subscribe(receiver.url(f"/many/{number}"), events=["trace.many"])

    report(api, "trace.many")

    attempts = collector.wait_for(4, "attempt trace.many")
    fan_out = collector.wait_for(1, "fan-out")
    (event,) = collector.wait_for(1, "event trace.many")
    assert {span.trace_id for span in [*attempts, *fan_out]} == {event.trace_id}
    assert {span.parent_span_id for span in fan_out} == {event.span_id}


def test_a_replay_is_in_the_trace_of_its_event(api: Api, collector: Collector, receiver: Receiver) -> None:
    subscription = api.subscribe(receiver.url("/replayed"), events=["trace.replayed"])
    report(api, "trace.replayed")
    (first,) = collector.wait_for(1, "attempt trace.replayed")
    (delivery,) = api.get(f"/v1/deliveries?subscription_id={subscription['id']}")["deliveries"]

    api.post(f"/v1/deliveries/{delivery['id']}/replay")

    again = collector.wait_for(2, "attempt trace.replayed")
    assert {span.trace_id for span in again} == {first.trace_id}
    assert len({span.span_id for span in again}) == 2


def test_a_collector_that_refuses_costs_no_delivery(
    api: Api, collector: Collector, receiver: Receiver
) -> None:
    api.subscribe(receiver.url("/refused"), events=["trace.refused"])
    collector.status = 400

    report(api, "trace.refused")

    receiver.wait_for(1, "/refused")
    collector.wait_for(1, "attempt trace.refused")
    collector.status = 200
    report(api, "trace.refused")
    receiver.wait_for(2, "/refused")
    collector.wait_for(2, "attempt trace.refused")
