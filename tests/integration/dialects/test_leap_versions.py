"""Leap's two schema versions (seed 000): which one a run has, and what configured outputs do in each."""

import json

import pytest
from rest_framework.test import APIClient

from tests.factories import Json, answer
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_leap import make_workflow
from tests.receiver import Receiver

MISSING = {"imageUrl": "steps.nobody.output"}


def new_run(api: APIClient, workflow: Json) -> str:
    run: str = answer(api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}))["id"]
    return run


def run_to_its_end(api: APIClient, run: str) -> Json:
    report(api, run, "start")
    report(api, run, "steps/render/start")
    report(api, run, "steps/render/complete", {"output": {"url": "a.png"}})
    return report(api, run, "complete", {"output": "the executor's"})


def switch(api: APIClient, workflow: Json, version: str) -> None:
    said = {"payload_format": version, "allow_downgrade": True}
    answer(api.patch(f"/v1/workflows/{workflow['id']}", said))


@pytest.mark.parametrize(("before", "after"), [("leap_v1", "leap_v2"), ("leap_v2", "leap_v1")])
def test_a_run_is_read_as_its_webhook_sent_it_also_after_a_switch(
    before: str, after: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    outputs = {"imageUrl": "steps.render.output.url"}
    workflow = make_workflow(api, payload_format=before, outputs=outputs, webhook_url=receiver.url())
    run = new_run(api, workflow)
    run_to_its_end(api, run)

    (request,) = deliver()
    read = api.get(f"/leap/v1/runs/{run}").content
    switch(api, workflow, after)

    sent = {"render": {"url": "a.png"}} if before == "leap_v1" else {"imageUrl": "a.png"}
    assert json.loads(request.body)["output"] == sent
    assert read == request.body
    assert api.get(f"/leap/v1/runs/{run}").content == request.body


def test_version_1_never_fails_a_run_by_its_outputs(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", outputs=MISSING, webhook_url=receiver.url())

    ended = run_to_its_end(api, new_run(api, workflow))

    assert (ended["status"], ended["output"], ended["error"]) == ("completed", "the executor's", None)
    (request,) = deliver()
    assert json.loads(request.body)["output"] == {"render": {"url": "a.png"}}


@pytest.mark.parametrize(
    ("before", "after", "status"), [("leap_v1", "leap_v2", "completed"), ("leap_v2", "leap_v1", "failed")]
)
def test_the_version_that_a_run_was_made_with_decides_what_its_outputs_do(
    before: str, after: str, status: str, api: APIClient
) -> None:
    workflow = make_workflow(api, payload_format=before, outputs=MISSING)
    run = new_run(api, workflow)
    report(api, run, "start")

    switch(api, workflow, after)

    assert report(api, run, "complete", {"output": 1})["status"] == status
    assert answer(api.get(f"/leap/v1/runs/{run}"))["status"] == status


def test_version_1_sends_the_executors_output_where_there_are_no_steps(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", outputs=MISSING, webhook_url=receiver.url())
    run = new_run(api, workflow)
    report(api, run, "start")

    report(api, run, "complete", {"output": {"answer": 42}})

    (request,) = deliver()
    assert json.loads(request.body)["output"] == {"answer": 42}


def test_keys_with_dots_are_found(api: APIClient) -> None:
    workflow = make_workflow(api, outputs={"x": "steps.a.b.output", "y": "steps.a.b.output.c.d"})
    run = new_run(api, workflow)
    report(api, run, "start")
    report(api, run, "steps/a.b/start")
    report(api, run, "steps/a.b/complete", {"output": {"c.d": 1}})

    ended = report(api, run, "complete")

    assert (ended["status"], ended["output"]) == ("completed", {"x": {"c.d": 1}, "y": 1})


def test_the_status_follows_the_run(api: APIClient) -> None:
    run = new_run(api, make_workflow(api))
    seen = [answer(api.get(f"/leap/v1/runs/{run}"))["status"]]
    for move in ("start", "pause", "start"):
        report(api, run, move)
        seen.append(answer(api.get(f"/leap/v1/runs/{run}"))["status"])

    assert seen == ["queued", "running", "running", "running"]
