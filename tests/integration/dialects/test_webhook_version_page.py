"""The page of a Leap workflow where people see, preview and change its webhook version."""

import json
from html import unescape

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
