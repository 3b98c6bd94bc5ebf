"""Leap (seed 000): callers and receivers see what they saw before."""

import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from runs.models import Run, Workflow
from tests.factories import refusal
from tests.integration.dialects.conftest import Deliver, report
from tests.receiver import Receiver

GOLDEN = Path(__file__).parent.parent.parent / "golden"


def golden(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return body


def compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def make_workflow(api: APIClient, **values: Any) -> dict[str, Any]:
    answer = api.post("/v1/workflows", {"name": "Portraits", "dialect": "leap"} | values)
    assert answer.status_code == 201, answer.content
    data: dict[str, Any] = answer.json()
    return data


def make_run(api: APIClient, expected: dict[str, Any], receiver: Receiver) -> None:
    answer = api.post(
        "/leap/v1/runs",
        {
            "workflow_id": expected["workflow_id"],
            "webhook_url": f" {receiver.url()} ",
            "input": expected["input"],
            "id": expected["id"],
            "created_at": expected["created_at"],
        },
    )
    assert answer.status_code == 200, answer.content


@pytest.mark.parametrize("name", ["leap_success.json", "leap_failure.json"])
def test_the_webhook_of_a_run_is_the_seeds_example_and_equals_the_get(
    name: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    expected = golden(name)
    outputs = {"imageUrl": "steps.render.output.url"}
    make_workflow(
        api,
        id=expected["workflow_id"],
        version_id=expected["version_id"],
        created_at=expected["created_at"],
        outputs=outputs,
    )
    make_run(api, expected, receiver)
    report(api, expected["id"], "start", {"occurred_at": expected["started_at"]})

    if expected["output"] is not None:
        at = {"occurred_at": expected["started_at"]}
        report(api, expected["id"], "steps/render/start", at)
        url = expected["output"]["imageUrl"]
        report(api, expected["id"], "steps/render/complete", {"output": {"url": url}, **at})
        report(api, expected["id"], "complete", {"occurred_at": expected["ended_at"]})
    else:
        report(api, expected["id"], "fail", {"error": expected["error"]})

    (request,) = deliver()
    assert request.body == compact(expected)
    assert api.get(f"/leap/v1/runs/{expected['id']}").content == request.body
    assert "webhook-signature" not in request.headers


def test_the_answer_of_the_post_is_the_queued_run_with_all_ten_keys(api: APIClient) -> None:
    workflow = make_workflow(api)

    answer = api.post("/leap/v1/runs", {"workflow_id": workflow["id"], "input": {"prompt": "a cat"}})

    run = answer.json()
    assert list(run) == list(golden("leap_success.json"))
    assert (run["status"], run["input"]) == ("queued", {"prompt": "a cat"})
    assert [run[key] for key in ("started_at", "ended_at", "error", "output")] == [None] * 4


def test_version_1_sends_the_whole_context_step_by_step(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", webhook_url=receiver.url())
    run = api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}).json()["id"]
    report(api, run, "start")

    for key, output in (("zeta", {"choices": [1]}), ("alpha", "text")):
        report(api, run, f"steps/{key}/start")
        report(api, run, f"steps/{key}/complete", {"output": output})
    report(api, run, "complete", {"output": "ignored"})

    (request,) = deliver()
    assert json.loads(request.body)["output"] == {"zeta": {"choices": [1]}, "alpha": "text"}
    assert list(json.loads(request.body)["output"]) == ["zeta", "alpha"]


def test_a_switch_of_the_version_while_a_delivery_waits_changes_nothing_of_it(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", webhook_url=receiver.url())
    run = api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}).json()["id"]
    report(api, run, "start")
    report(api, run, "steps/one/start")
    report(api, run, "steps/one/complete", {"output": 1})
    report(api, run, "complete", {"output": 2})

    changed = api.patch(f"/v1/workflows/{workflow['id']}", {"payload_format": "leap_v2"}).json()

    (request,) = deliver()
    body = json.loads(request.body)
    assert body["output"] == {"one": 1}
    assert body["version_id"] == workflow["version_id"] != changed["version_id"]


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [("2023-12-29T23:59:59Z", "leap_v1"), ("2023-12-30T00:00:00Z", "leap_v2")],
)
def test_the_day_a_workflow_was_made_picks_its_default_version(
    api: APIClient, created_at: str, expected: str
) -> None:
    assert make_workflow(api, created_at=created_at)["payload_format"] == expected


@pytest.mark.parametrize("end", ["cancel", "terminate", "time-out"])
def test_a_run_ended_from_outside_tells_its_callback_unless_it_was_cancelled(
    end: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(api, webhook_url=receiver.url())
    run = api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}).json()["id"]

    report(api, run, end)

    statuses = [json.loads(request.body)["status"] for request in deliver()]
    assert statuses == ([] if end == "cancel" else ["failed"])
    assert api.get(f"/leap/v1/runs/{run}").json()["status"] == ("cancelled" if end == "cancel" else "failed")


def test_ids_that_are_none_are_refused_with_the_prefix_they_need(api: APIClient) -> None:
    answer = api.get("/leap/v1/runs/wkf_1")

    assert answer.status_code == 422
    assert answer.json()["detail"] == "workflow_run_id must start with rnp_"


@pytest.mark.parametrize("id_", ["zzz", "rnp_1", "rnp_OegyoGJxj9lyk4xbt", "rnp_OegyoGJxj9lyk4xbt-", "wkf_1"])
@pytest.mark.parametrize("path", ["/leap/v1/runs", "/v1/runs"])
def test_a_run_is_not_imported_under_an_id_that_could_not_be_read(
    path: str, id_: str, api: APIClient
) -> None:
    body = {"workflow_id": make_workflow(api)["id"], "id": id_}

    refused = refusal(api.post(path, body), 422, "bad_id", "id")

    assert refused["detail"] == "id must start with rnp_, then 18 letters or digits"
    assert Run.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "given"),
    [("id", "zzz"), ("id", "wkf_1"), ("version_id", "v1"), ("version_id", "wkf_RL2LDs8LNO4LI6")],
)
def test_a_workflow_is_not_imported_under_an_id_of_another_form(
    field: str, given: str, api: APIClient
) -> None:
    body = {"name": "Portraits", "dialect": "leap", field: given}

    refusal(api.post("/v1/workflows", body), 422, "bad_id", field)

    assert Workflow.objects.count() == 0


def test_runs_of_others_and_of_other_dialects_do_not_exist(api: APIClient, other_api: APIClient) -> None:
    leap_workflow = make_workflow(api)
    run = api.post("/leap/v1/runs", {"workflow_id": leap_workflow["id"]}).json()["id"]
    native = api.post("/v1/workflows", {"name": "Native", "id": "wkf_AAAAAAAAAAAAAA"}).json()

    assert other_api.get(f"/leap/v1/runs/{run}").status_code == 404
    assert api.post("/leap/v1/runs", {"workflow_id": native["id"]}).status_code == 404
    assert APIClient().get(f"/leap/v1/runs/{run}").status_code == 401
