"""eachlabs (seed 004): what an execution shows at each moment, whatever its steps reported."""

import json

import pytest
from rest_framework.test import APIClient

from tests.factories import Json, answer, run, webhook
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_eachlabs import API, execution, make_workflow, trigger
from tests.receiver import Receiver


def test_a_cancelled_execution_tells_nobody(api: APIClient, receiver: Receiver, deliver: Deliver) -> None:
    execution_id = trigger(api, webhook_url=receiver.url())

    report(api, execution_id, "cancel")

    found = execution(api, execution_id)
    assert deliver() == []
    assert list(found) == ["execution_id", "workflow_id", "status", "started_at", "inputs"]
    assert found["status"] == "cancelled"


def test_the_status_follows_the_execution(api: APIClient) -> None:
    execution_id = trigger(api)
    seen = [execution(api, execution_id)]
    for move in ("start", "pause"):
        report(api, execution_id, move)
        seen.append(execution(api, execution_id))

    assert [found["status"] for found in seen] == ["queued", "running", "running"]
    assert {tuple(found) for found in seen} == {
        ("execution_id", "workflow_id", "status", "started_at", "inputs")
    }


@pytest.mark.parametrize(
    ("move", "body", "expected"),
    [
        ("time-out", {}, {"error": "ExecutionFailed", "error_cause": "Execution timed out"}),
        ("terminate", {}, {"error": "ExecutionFailed", "error_cause": "Execution was terminated"}),
        (
            "fail",
            {"error": {"message": "no", "code": "ModelRefused"}},
            {"error": "ModelRefused", "error_cause": "no"},
        ),
    ],
)
def test_other_ends_are_failures(move: str, body: Json, expected: Json, api: APIClient) -> None:
    execution_id = trigger(api)

    report(api, execution_id, move, body)

    found = execution(api, execution_id)
    assert found["status"] == "failed"
    assert {key: found[key] for key in found if key.startswith("error")} == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"output": "text"}, {"output": "text", "primary": "text"}),
        ({"output": ["a", "b"]}, {"output": ["a", "b"], "primary": "a"}),
        ({"output": ["a", "b"], "primary": "b"}, {"output": ["a", "b"], "primary": "b"}),
        ({"output": {"k": 1}}, {"output": {"k": 1}}),
        ({"output": []}, {"output": []}),
        ({}, {"output": None}),
    ],
)
def test_primary_is_the_text_or_the_first_item(step: Json, expected: Json, api: APIClient) -> None:
    execution_id = trigger(api)
    report(api, execution_id, "start")
    report(api, execution_id, "steps/one/start")
    report(api, execution_id, "steps/one/complete", step)

    report(api, execution_id, "complete")

    found = execution(api, execution_id)
    entry: Json = {"step_id": "one", "status": "completed"} | expected | {"metadata": {}}
    assert found["step_outputs"] == {"one": entry}
    assert list(found["step_outputs"]["one"]) == list(entry)
    assert found["output"] == expected["output"]


def test_the_output_is_the_executors_or_that_of_the_step_that_completed_last(api: APIClient) -> None:
    ids = [trigger(api), trigger(api)]
    for execution_id in ids:
        report(api, execution_id, "start")
        for key in ("early", "late", "fails"):
            report(api, execution_id, f"steps/{key}/start")
        report(api, execution_id, "steps/late/complete", {"output": "late"})
        report(api, execution_id, "steps/early/complete", {"output": "early"})
        report(api, execution_id, "steps/fails/fail", {"error": "no", "output": "half"})

    report(api, ids[0], "complete", {"output": {"own": 0}})
    report(api, ids[1], "complete")

    assert [execution(api, id_)["output"] for id_ in ids] == [{"own": 0}, "early"]


def test_hard_content_comes_out_as_it_went_in(api: APIClient, receiver: Receiver, deliver: Deliver) -> None:
    text = (
        r'{"emoji 🎨": "שלום\u2028", "lone": "\ud83d", "nul": "\u0000", '
        r'"big": 36893488147419103232, "zero": -0.0}'
    )
    path = f"{API}/{make_workflow(api)}/trigger"
    said = f'{{"inputs": {text}, "webhook_url": "{receiver.url()}"}}'
    execution_id = answer(api.post(path, said, content_type="application/json"), 202)["execution_id"]
    report(api, execution_id, "start")
    done = f'{{"output": {text}}}'

    answer(api.post(f"/v1/runs/{execution_id}/complete", done, content_type="application/json"))

    (request,) = deliver()
    body = json.loads(request.body)
    assert str(body["inputs"]) == str(body["output"]) == str(json.loads(text))
    assert api.get(f"{API}/executions/{execution_id}").content == request.body
    assert api.get(f"/eachlabs/v1/webhooks/{execution_id}").json()["request"] == request.body.decode()


def test_a_subscription_may_have_this_format_for_runs_of_any_dialect(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    ended = ["workflow.completed", "workflow.failed", "workflow.cancelled"]
    webhook(api, url=receiver.url(), events=ended, payload_format="eachlabs_execution")
    native = [run(api, input={"prompt": "a cat"})["id"] for _ in range(2)]
    report(api, native[0], "start")

    report(api, native[0], "complete", {"output": "done"})
    report(api, native[1], "cancel")

    done, cancelled = (json.loads(request.body) for request in deliver())
    assert (done["execution_id"], done["step_outputs"], done["output"]) == (native[0], {}, "done")
    assert (cancelled["execution_id"], cancelled["status"]) == (native[1], "cancelled")
