"""The webhook version of a workflow (seed 000) on the portal."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.factories import answer, workflow
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_leap import make_workflow
from tests.portal_pages import Portal, portal_of


@pytest.fixture
def portal(api: APIClient) -> Portal:
    return portal_of(api)


def in_force(api: APIClient, workflow_id: str) -> Any:
    return answer(api.get(f"/v1/workflows/{workflow_id}"))["payload_format"]


def test_those_with_versions_are_listed_with_theirs(api: APIClient, portal: Portal) -> None:
    workflow(api, name="Without versions")
    make_workflow(api, name="Old", payload_format="leap_v1")
    make_workflow(api, name="New", payload_format="leap_v2")

    page = portal.get("workflows")

    assert {"Old", "New"} <= set(page.links)
    assert "Without versions" not in page.links
    assert "leap_v1: a later one exists" in page.text
    assert "leap_v2 (latest)" in page.text


def test_a_version_is_previewed_and_upgraded_with_one_save(api: APIClient, portal: Portal) -> None:
    made = make_workflow(api, payload_format="leap_v1", outputs={"answer": "output.answer"})["id"]
    run = api.post("/leap/v1/runs", {"workflow_id": made}).json()["id"]
    for move, body in [
        ("start", None),
        ("steps/one/start", None),
        ("steps/one/complete", {"output": "<b>step</b>"}),
        ("complete", {"output": {"answer": 42}}),
    ]:
        report(api, run, move, *([] if body is None else [body]))

    page = portal.get(f"workflows/{made}")
    saved = portal.post(f"workflows/{made}", page.form("Save").fields | {"payload_format": "leap_v2"})

    outputs = [json.loads(text)["output"] for text in page.inside("pre")]
    assert outputs == [{"one": "<b>step</b>"}, {"answer": 42}]
    assert in_force(api, made) == "leap_v2"
    assert "New runs send this version." in saved.text


def test_going_back_is_asked_for_once_more(api: APIClient, portal: Portal) -> None:
    made = make_workflow(api, payload_format="leap_v2")["id"]
    path = f"workflows/{made}"

    asked = portal.post(path, {"payload_format": "leap_v1"})

    assert "This goes back from leap_v2 to leap_v1." in asked.text
    assert in_force(api, made) == "leap_v2"
    portal.post(path, asked.form("Yes, go back").fields)
    assert in_force(api, made) == "leap_v1"


def test_a_version_that_there_is_not_changes_nothing(api: APIClient, portal: Portal) -> None:
    made = make_workflow(api, payload_format="leap_v1")["id"]

    page = portal.post(f"workflows/{made}", {"payload_format": "leap_v3"})

    assert "id_payload_format_error" in [a.get("id") for a in page.attributes("ul")]
    assert in_force(api, made) == "leap_v1"


def test_a_workflow_without_versions_has_no_such_page(api: APIClient, portal: Portal) -> None:
    made = workflow(api)["id"]

    assert portal.get(f"workflows/{made}").status == 404


def test_a_read_only_link_shows_the_version_and_saves_none(api: APIClient) -> None:
    made = make_workflow(api, payload_format="leap_v1")["id"]
    portal = portal_of(api, read_only=True)

    page = portal.get(f"workflows/{made}")
    refused = portal.post(f"workflows/{made}", {"payload_format": "leap_v2"})

    assert refused.status == 403
    assert "In force: leap_v1" in page.text
    assert not page.has("Save")
    assert in_force(api, made) == "leap_v1"
