"""/v1/runs: steps, configured outputs, versions, callbacks, and the run's own page of webhooks."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery.queue import WakeUp
from tests.factories import (
    Json,
    answer,
    events_of,
    refusal,
    report,
    run,
    started_run,
    types_of,
    webhook,
    workflow,
)
from tests.receiver import Receiver

Attempt = Callable[..., Any]
GOLDEN = Path(__file__).parent.parent / "golden"


def step(api: APIClient, run_id: str, key: str, move: str, body: Json | None = None) -> Json:
    said: Json = answer(api.post(f"/v1/runs/{run_id}/steps/{key}/{move}", body or {}))
    return said


def send_all(attempt: Attempt, wake_ups: list[WakeUp]) -> None:
    for wake_up in wake_ups:
        attempt(wake_up.delivery_id)


def test_steps_are_told_one_by_one_and_shown_in_the_order_of_their_starts(api: APIClient) -> None:
    webhook(api)
    id_ = started_run(api)["id"]

    step(api, id_, "write", "start", {"name": "Write", "input": {"topic": "cats"}})
    step(api, id_, "draw", "start")
    drawn = step(
        api, id_, "draw", "complete", {"output": ["a.png"], "primary": "a.png", "metadata": {"m": 1}}
    )
    failed = step(api, id_, "write", "fail", {"error": "no words"})

    assert (drawn["status"], drawn["index"], drawn["name"]) == ("completed", 1, "")
    assert (drawn["output"], drawn["primary"], drawn["metadata"]) == (["a.png"], "a.png", {"m": 1})
    assert (failed["status"], failed["input"]) == ("failed", {"topic": "cats"})
    assert failed["error"] == {"message": "no words"}
    assert [each["key"] for each in answer(api.get(f"/v1/runs/{id_}"))["steps"]] == ["write", "draw"]
    assert types_of(api, id_) == [
        *("workflow.started", "workflow.step.started", "workflow.step.started"),
        *("workflow.step.completed", "workflow.step.failed"),
    ]


def test_a_step_s_report_repeated_tells_nobody_even_after_the_run_has_ended(api: APIClient) -> None:
    webhook(api)
    id_ = started_run(api)["id"]
    step(api, id_, "draw", "start", {"name": "Draw"})
    first = step(api, id_, "draw", "complete", {"output": 1})
    report(api, id_, "complete")
    told = types_of(api, id_)

    assert step(api, id_, "draw", "complete", {"output": 1}) == first
    assert step(api, id_, "draw", "start", {"name": "Draw"}) == first
    assert types_of(api, id_) == told


def test_impossible_step_moves_are_409s_that_name_the_state(api: APIClient) -> None:
    webhook(api)
    id_ = run(api)["id"]
    path = f"/v1/runs/{id_}/steps/draw"

    assert "queued" in refusal(api.post(f"{path}/start"), 409, "impossible_move")["detail"]
    report(api, id_, "start")
    refusal(api.post(f"{path}/complete"), 404, "step_not_started")
    step(api, id_, "draw", "start")
    assert "running" in refusal(api.post(f"{path}/start", {"name": "x"}), 409, "impossible_move")["detail"]
    step(api, id_, "draw", "complete")
    assert "completed" in refusal(api.post(f"{path}/fail", {"error": "x"}), 409, "impossible_move")["detail"]
    report(api, id_, "pause")
    assert "paused" in refusal(api.post(f"/v1/runs/{id_}/steps/b/start"), 409, "impossible_move")["detail"]
    assert len(types_of(api, id_)) == 3


@pytest.mark.parametrize("key", ["a b", "é", "x" * 129, "a%0Ab"])
def test_a_step_key_of_another_form_is_refused_by_name(api: APIClient, key: str) -> None:
    answer = api.post(f"/v1/runs/{started_run(api)['id']}/steps/{key}/start")

    refusal(answer, 422, "bad_key", "key")


def test_configured_outputs_take_their_values_from_the_run(api: APIClient) -> None:
    made = workflow(api, outputs={"imageUrl": "steps.draw.output.0", "asked": "input.prompt"})
    id_ = started_run(api, workflow_id=made["id"], input={"prompt": "a cat"})["id"]
    step(api, id_, "draw", "start")
    step(api, id_, "draw", "complete", {"output": ["a.png"]})

    ended = report(api, id_, "complete", {"output": "ignored"})

    assert (ended["status"], ended["output"]) == ("completed", {"imageUrl": "a.png", "asked": "a cat"})
    assert list(ended["output"]) == ["imageUrl", "asked"]


def test_an_output_that_the_run_does_not_have_fails_it_in_seed_000s_words(api: APIClient) -> None:
    webhook(api)
    made = workflow(api, outputs={"imageUrl": "input.proompt"})
    id_ = started_run(api, workflow_id=made["id"], input={"prompt": "a cat"})["id"]

    ended = report(api, id_, "complete", {"output": 1})

    assert (ended["status"], ended["output"]) == ("failed", None)
    message = "Variable 'input.proompt' not found. Available variables to use:\ninput.prompt\nsteps\noutput"
    assert ended["error"]["message"] == message
    assert types_of(api, id_) == ["workflow.started", "workflow.failed"]
    assert report(api, id_, "complete", {"output": 1}) == ended
    assert types_of(api, id_) == ["workflow.started", "workflow.failed"]


def test_a_run_keeps_the_version_that_it_started_with(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    made = workflow(api, outputs={"old": "output"}, webhook_url=receiver.url("/old"))
    running = started_run(api, workflow_id=made["id"])
    changed = {"outputs": {"new": "output"}, "webhook_url": receiver.url("/new")}
    later = answer(api.patch(f"/v1/workflows/{made['id']}", changed))

    ended = report(api, running["id"], "complete", {"output": 1})
    next_ = report(api, started_run(api, workflow_id=made["id"])["id"], "complete", {"output": 2})
    send_all(attempt, wake_ups)

    assert (ended["version_id"], ended["output"]) == (made["version_id"], {"old": 1})
    assert (next_["version_id"], next_["output"]) == (later["version_id"], {"new": 2})
    assert (len(receiver.at("/old")), len(receiver.at("/new"))) == (1, 1)


def test_the_callback_of_the_run_replaces_the_default_of_the_workflow(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    made = workflow(api, webhook_url=receiver.url("/default"))
    default = started_run(api, workflow_id=made["id"])["id"]
    own = started_run(api, workflow_id=made["id"], webhook_url=receiver.url("/own"))["id"]

    report(api, default, "complete")
    report(api, own, "fail", {"error": "no"})
    send_all(attempt, wake_ups)

    (told_default,), (told_own,) = receiver.at("/default"), receiver.at("/own")
    assert json.loads(told_default.body)["data"]["run_id"] == default
    assert json.loads(told_own.body)["event_type"] == "workflow.failed"


def test_a_callback_is_told_only_of_the_end(api: APIClient, receiver: Receiver) -> None:
    id_ = started_run(api, webhook_url=receiver.url())["id"]
    step(api, id_, "draw", "start")
    assert [len(event["deliveries"]) for event in events_of(api, id_)] == [0, 0]

    report(api, id_, "complete")

    assert [len(event["deliveries"]) for event in events_of(api, id_)] == [0, 0, 1]


def test_a_cancelled_run_is_told_only_to_those_who_ask(api: APIClient) -> None:
    asked = webhook(api, events=["workflow.cancelled"])["id"]
    everything = webhook(api, events=["*"])["id"]
    webhook(api, events=["workflow.completed", "workflow.failed", "workflow.started"])
    id_ = run(api, webhook_url="https://example.com/cb")["id"]

    report(api, id_, "cancel")

    (event,) = events_of(api, id_)
    assert {delivery["subscription_id"] for delivery in event["deliveries"]} == {asked, everything}


def test_a_subscription_limited_to_workflows_hears_only_of_those(api: APIClient) -> None:
    cats, dogs = workflow(api)["id"], workflow(api)["id"]
    limited = webhook(api, workflow_ids=[cats])["id"]

    of_cats = events_of(api, started_run(api, workflow_id=cats)["id"])
    of_dogs = events_of(api, started_run(api, workflow_id=dogs)["id"])
    custom = answer(api.post("/v1/events", {"event_type": "a.b", "data": {}}), 202)

    assert [delivery["subscription_id"] for delivery in of_cats[0]["deliveries"]] == [limited]
    assert of_dogs[0]["deliveries"] == []
    assert custom["subscriptions"] == 0


def test_a_run_s_webhooks_show_events_deliveries_and_attempts(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp]
) -> None:
    receiver.reply(503)
    subscription = webhook(api, url=receiver.url(), events=["workflow.completed"])["id"]
    id_ = started_run(api)["id"]
    report(api, id_, "complete")
    send_all(attempt, wake_ups)

    started, completed = events_of(api, id_)

    assert (started["type"], started["deliveries"]) == ("workflow.started", [])
    assert (completed["type"], completed["recipients"]) == ("workflow.completed", 1)
    (delivery,) = completed["deliveries"]
    assert (delivery["subscription_id"], delivery["state"]) == (subscription, "waiting")
    (tried,) = delivery["attempt_log"]
    assert (tried["attempt"], tried["status_code"], tried["error_class"]) == (1, 503, "http_status")


@pytest.mark.parametrize("name", ["leap_success.json", "leap_failure.json"])
def test_seed_000s_examples_come_out_byte_for_byte(
    api: APIClient, receiver: Receiver, attempt: Attempt, wake_ups: list[WakeUp], name: str
) -> None:
    example = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    imported = {"id": example["workflow_id"], "version_id": example["version_id"]}
    workflow(api, dialect="leap", created_at="2023-12-30T00:00:00Z", **imported)
    values = {name: example[name] for name in ("workflow_id", "id", "created_at", "input")}
    run(api, webhook_url=receiver.url(), **values)
    report(api, example["id"], "start", {"occurred_at": example["started_at"]})
    if example["error"]:
        report(api, example["id"], "fail", {"error": example["error"]})
    else:
        said = {"output": example["output"], "occurred_at": example["ended_at"]}
        report(api, example["id"], "complete", said)

    send_all(attempt, wake_ups)

    (request,) = receiver.at()
    assert request.body == json.dumps(example, separators=(",", ":"), ensure_ascii=False).encode()
    assert "webhook-signature" not in request.headers
