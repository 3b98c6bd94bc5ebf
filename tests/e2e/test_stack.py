"""What must hold with real processes: the main job, killed workers, an absent broker."""

import time
from collections import Counter
from itertools import pairwise

from standardwebhooks import Webhook

from delivery.retry import POLICIES
from local.stack import Stack
from tests.chaos.breaker import paused
from tests.e2e.conftest import Api, eventually
from tests.receiver import Received, Receiver, Reply


def webhook_ids(requests: list[Received]) -> Counter[str]:
    return Counter(request.headers["webhook-id"] for request in requests)


def test_a_run_is_told_to_a_subscription_and_to_its_callback(api: Api, receiver: Receiver) -> None:
    subscription = api.subscribe(receiver.url("/main"), payload_format="standard")
    workflow = api.post("/v1/workflows", {"name": "Main job"})
    run = api.post("/v1/runs", {"workflow_id": workflow["id"], "webhook_url": receiver.url("/callback")})

    api.post(f"/v1/runs/{run['id']}/start")
    api.post(f"/v1/runs/{run['id']}/complete", {"output": {"answer": 42}})

    requests = receiver.wait_for(2, "/main")
    receiver.wait_for(1, "/callback")
    verifier = Webhook(subscription["signing_secret"])
    bodies = [verifier.verify(request.body, dict(request.headers)) for request in requests]
    assert {body["type"] for body in bodies} == {"workflow.started", "workflow.completed"}

    def all_delivered() -> bool:
        events = api.get(f"/v1/runs/{run['id']}/webhooks")["events"]
        return all(d["state"] == "delivered" for event in events for d in event["deliveries"])

    eventually(all_delivered, 10, "all deliveries of the run are recorded as delivered")
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_failing_receiver_is_tried_again_until_it_recovers(api: Api, receiver: Receiver) -> None:
    receiver.reply(503, 500, 204, path="/flaky")
    subscription = api.subscribe(receiver.url("/flaky"), retry_schedule=[0.2, 0.2])

    (event,) = api.events(1, "e2e.flaky")

    requests = receiver.wait_for(3, "/flaky")
    eventually(lambda: api.states(subscription) == ["delivered"], 10, "delivered")
    assert webhook_ids(requests) == {event: 3}
    assert len({request.body for request in requests}) == 1
    logs = api.get(f"/v1/webhooks/{subscription['id']}/logs")["logs"]
    assert [(log["attempt"], log["status_code"]) for log in logs] == [(3, 204), (2, 500), (1, 503)]
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_test_event_is_answered_with_what_the_receiver_said(api: Api, receiver: Receiver) -> None:
    receiver.reply(Reply(418, body=b"I am a teapot"), path="/test")
    subscription = api.subscribe(receiver.url("/test"))

    outcome = api.post(f"/v1/webhooks/{subscription['id']}/test")

    assert (outcome["success"], outcome["status_code"]) == (False, 418)
    (log,) = api.get(f"/v1/webhooks/{subscription['id']}/logs")["logs"]
    assert (log["is_test"], log["response_body"]) == (True, "I am a teapot")
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_deliveries_of_a_killed_worker_are_seen_again_and_end_delivered(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    receiver.hang("/killed")
    subscription = api.subscribe(receiver.url("/killed"), timeout_seconds=2, retry_schedule=[1] * 10)
    # Two workers of 16 threads: with 32 open requests at least 10 of them are the killed one's.
    ids = api.events(32, "e2e.killed")
    before = webhook_ids(receiver.wait_for(32, "/killed"))

    stack.processes["worker-1"].kill()
    killed_at = time.monotonic()
    receiver.recover("/killed")

    eventually(lambda: Counter(api.states(subscription)) == {"delivered": 32}, 40, "all are delivered")
    recovery = time.monotonic() - killed_at
    seen = webhook_ids(receiver.at("/killed"))
    stack.restart("worker-1")
    assert before == dict.fromkeys(ids, 1)
    assert set(seen) == set(ids)
    again = [id_ for id_ in ids if seen[id_] > 1]
    assert len(again) >= 10, f"{len(again)} of the killed worker's requests came again"
    # The lease (2 + 2 s) and a little: nobody waits for the broker's visibility timeout of 600 s.
    assert recovery < 4 + 15
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_broker_that_is_down_fails_no_call_and_loses_nothing(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    subscription = api.subscribe(receiver.url("/broker"))
    stack.processes["valkey"].kill()

    started = time.monotonic()
    ids = api.events(10, "e2e.broker")
    calls_took = time.monotonic() - started
    stack.restart("valkey")

    receiver.wait_for(10, "/broker", seconds=60)
    eventually(lambda: api.states(subscription) == ["delivered"] * 10, 20, "all are delivered")
    assert set(webhook_ids(receiver.at("/broker"))) == set(ids)
    assert calls_took < 10, "no call may wait for the broker"
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_broker_that_dies_under_open_requests_ends_no_worker_and_doubles_nothing(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    receiver.hang("/open")
    subscription = api.subscribe(receiver.url("/open"), timeout_seconds=15)
    ids = api.events(12, "e2e.open")
    receiver.wait_for(12, "/open")

    stack.processes["valkey"].kill()
    stack.restart("valkey")
    receiver.recover("/open")
    more = api.events(5, "e2e.open")

    eventually(lambda: api.states(subscription) == ["delivered"] * 17, 60, "all are delivered")
    assert webhook_ids(receiver.at("/open")) == dict.fromkeys([*ids, *more], 1)
    assert all(stack.processes[name].running for name in ("worker-1", "worker-2"))
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_receiver_that_fails_as_long_as_the_schedule_lasts_is_tried_at_its_times_and_then_no_more(
    api: Api, receiver: Receiver
) -> None:
    waits = [seconds / 10 for seconds in POLICIES["leaperone"].delays_seconds]  # 0.2 to 3 s
    receiver.reply(500, path="/never")
    subscription = api.subscribe(receiver.url("/never"), retry_schedule=waits)

    api.events(1, "e2e.never")

    requests = receiver.wait_for(len(waits) + 1, "/never", seconds=30)
    eventually(lambda: api.states(subscription) == ["exhausted"], 10, "exhausted")
    gaps = [after.at - before.at for before, after in pairwise(requests)]
    # Never early; how late depends on the machine.
    assert all(wait <= gap < wait + 3 for wait, gap in zip(waits, gaps, strict=True)), gaps
    assert len(receiver.at("/never")) == 6
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_a_report_that_comes_in_chunks_is_carried_out_with_its_content(api: Api, receiver: Receiver) -> None:
    workflow = api.post("/v1/workflows", {"name": "Chunks"})
    run = api.post("/v1/runs", {"workflow_id": workflow["id"]})
    api.post(f"/v1/runs/{run['id']}/start")

    pieces = iter([b'{"output":', b'{"answer":42}}'])
    said = api.send(f"/v1/runs/{run['id']}/complete", pieces)
    too_many = api.send("/v1/events", iter([b" " * 1_000_000] * 7))

    assert (said.status_code, said.json()["output"]) == (200, {"answer": 42})
    assert too_many.status_code == 413


def test_while_the_database_is_frozen_calls_are_a_503_and_afterwards_all_is_well(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    subscription = api.subscribe(receiver.url("/frozen"), events=["e2e.frozen"])

    with paused(stack.processes["postgres"]):
        refused = api.send("/v1/events", iter([b'{"event_type": "e2e.frozen", "data": {}}']))

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.elapsed.total_seconds() < 2 + 5
    api.events(1, "e2e.frozen")
    receiver.wait_for(1, "/frozen")
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")
