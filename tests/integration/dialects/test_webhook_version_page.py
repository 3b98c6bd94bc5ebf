"""The page of a Leap workflow where people see, preview and change its webhook version."""

import json
from html import unescape
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from runs.models import Workflow
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_leap import make_workflow


def page_of(workflow_id: str) -> str:
    pk = Workflow.objects.get(public_id=workflow_id).pk
    return f"/admin/runs/workflow/{pk}/webhook-version/"


def in_force(api: APIClient, workflow_id: str) -> str:
    version: str = api.get(f"/v1/workflows/{workflow_id}").json()["payload_format"]
    return version


def test_the_version_is_seen_previewed_side_by_side_and_upgraded_with_one_save(
    api: APIClient, admin_client: Client
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", outputs={"answer": "output.answer"})
    run = api.post("/leap/v1/runs", {"workflow_id": workflow["id"]}).json()["id"]
    report(api, run, "start")
    report(api, run, "steps/one/start")
    report(api, run, "steps/one/complete", {"output": "<b>step</b>"})
    report(api, run, "complete", {"output": {"answer": 42}})
    url = page_of(workflow["id"])

    text = admin_client.get(url).content.decode()
    saved = admin_client.post(url, {"payload_format": "leap_v2"})

    shown = [
        json.loads(unescape(part.split("</pre>")[0].split(">", 1)[1])) for part in text.split("<pre")[1:]
    ]
    assert [body["output"] for body in shown] == [{"one": "<b>step</b>"}, {"answer": 42}]
    assert "<b>step</b>" not in text
    assert saved.status_code == 302
    assert in_force(api, workflow["id"]) == "leap_v2"


def previews(client: Client, workflow_id: str) -> list[Any]:
    """The two bodies that the page shows, v1 and v2."""
    text = client.get(page_of(workflow_id)).content.decode()
    return [json.loads(unescape(part.split("</pre>")[0].split(">", 1)[1])) for part in text.split("<pre")[1:]]


def ended_run(api: APIClient, workflow_id: str, output: Any) -> None:
    run = api.post("/leap/v1/runs", {"workflow_id": workflow_id}).json()["id"]
    report(api, run, "start")
    report(api, run, "steps/one/start")
    report(api, run, "steps/one/complete", {"output": {"url": "a.png"}})
    report(api, run, "complete", {"output": output})


@pytest.mark.parametrize("version", ["leap_v1", "leap_v2"])
def test_version_2_is_previewed_with_the_outputs_that_are_configured_now(
    version: str, api: APIClient, admin_client: Client
) -> None:
    workflow = make_workflow(api, payload_format=version)["id"]
    ended_run(api, workflow, {"answer": 42})

    api.patch(f"/v1/workflows/{workflow}", {"outputs": {"x": "output.answer", "y": "steps.one.output.url"}})

    v1, v2 = previews(admin_client, workflow)
    assert v1["output"] == {"one": {"url": "a.png"}}
    assert list(v2["output"].items()) == [("x", 42), ("y", "a.png")]
    stored = api.get("/v1/runs").json()["runs"][0]["id"]
    assert api.get(f"/v1/runs/{stored}").json()["output"] == {"answer": 42}


def test_outputs_that_the_run_does_not_have_are_previewed_as_the_failure_they_will_be(
    api: APIClient, admin_client: Client
) -> None:
    workflow = make_workflow(api, payload_format="leap_v1", outputs={"x": "output.nothing"})["id"]
    ended_run(api, workflow, {"answer": 42})

    v1, v2 = previews(admin_client, workflow)

    assert (v1["status"], v2["status"], v2["output"]) == ("completed", "failed", None)
    assert v2["error"].startswith("Variable 'output.nothing' not found.")


@pytest.mark.parametrize(
    "outputs",
    [None, {"y": "output.answer"}, {"y": "output.x"}],
    ids=["none now", "of the executor's output", "named as before"],
)
def test_what_the_executor_reported_is_not_made_up_where_it_is_not_kept(
    outputs: Any, api: APIClient, admin_client: Client
) -> None:
    workflow = make_workflow(api, outputs={"x": "output.answer"})["id"]
    ended_run(api, workflow, {"answer": 42})

    api.patch(f"/v1/workflows/{workflow}", {"outputs": outputs})

    assert b"is not kept" in admin_client.get(page_of(workflow)).content
    assert previews(admin_client, workflow)[1]["output"] == {"x": 42}


def test_the_outputs_of_a_later_version_are_previewed_from_what_is_kept(
    api: APIClient, admin_client: Client
) -> None:
    workflow = make_workflow(api, outputs={"x": "output.answer"})["id"]
    ended_run(api, workflow, {"answer": 42})

    api.patch(f"/v1/workflows/{workflow}", {"outputs": {"y": "steps.one.output.url"}})

    assert b"is not kept" not in admin_client.get(page_of(workflow)).content
    assert previews(admin_client, workflow)[1]["output"] == {"y": "a.png"}


def test_texts_are_shown_in_their_own_characters(api: APIClient, admin_client: Client) -> None:
    workflow = make_workflow(api)["id"]
    ended_run(api, workflow, "日本語 ☕ \ud83d")

    text = admin_client.get(page_of(workflow)).content.decode()

    assert "日本語 ☕ \\ud83d" in text


def test_going_back_asks_first(api: APIClient, admin_client: Client) -> None:
    workflow = make_workflow(api)
    url = page_of(workflow["id"])

    question = admin_client.post(url, {"payload_format": "leap_v1"})
    before = in_force(api, workflow["id"])
    admin_client.post(url, {"payload_format": "leap_v1", "confirmed": "on"})

    assert b"Yes, go back" in question.content
    assert (before, in_force(api, workflow["id"])) == ("leap_v2", "leap_v1")


def test_it_is_for_people_who_are_logged_in(api: APIClient) -> None:
    workflow = make_workflow(api)

    answer = Client().get(page_of(workflow["id"]))

    assert answer.status_code == 302
    assert "/admin/login/" in answer.headers["Location"]
