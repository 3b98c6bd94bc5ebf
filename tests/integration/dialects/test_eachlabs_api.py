"""eachlabs (seed 004): triggers, versions, bulk and lists."""

import re
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from tests.factories import Json, answer, row_counts
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_eachlabs import API, execution, make_workflow, trigger
from tests.receiver import Receiver

LOG = "/eachlabs/v1/webhooks"
BULK_SIZE = "inputs must contain 1–10 items"


def error(response: Any, status: int) -> str:
    """The sentence of a refusal with this status."""
    assert response.status_code == status, response.content
    body: Json = response.json()
    assert list(body) == ["error"]
    text: str = body["error"]
    return text


def bulk(api: APIClient, workflow_id: str, inputs: list[Any], **values: Any) -> Json:
    path = f"{API}/{workflow_id}/bulk-trigger"
    made: Json = answer(api.post(path, {"inputs": inputs} | values), 202)
    return made


def completed(api: APIClient, workflow_id: str | None = None, **values: Any) -> str:
    execution_id = trigger(api, workflow_id, **values)
    report(api, execution_id, "start")
    report(api, execution_id, "complete", {"output": "done"})
    return execution_id


def test_ids_are_uuids_and_a_slug_names_a_workflow_as_well(api: APIClient) -> None:
    workflow_id = make_workflow(api, slug="sunsets")

    by_slug = execution(api, trigger(api, "sunsets", unknown="ignored"))

    assert by_slug["workflow_id"] == workflow_id
    for text in (workflow_id, by_slug["execution_id"]):
        assert str(UUID(text)) == text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", by_slug["started_at"])


def test_a_slug_that_is_another_workflows_id_does_not_take_its_calls(api: APIClient) -> None:
    first = make_workflow(api, name="First")
    make_workflow(api, name="Second", slug=first)

    triggered = execution(api, trigger(api, first))
    listed = answer(api.get(f"{API}/workflows/{first}/executions"))

    assert triggered["workflow_id"] == first
    assert [row["flow_name"] for row in listed["executions"]] == ["First"]


@pytest.mark.parametrize("inputs", [{}, {"inputs": None}, {"inputs": {}}])
def test_inputs_may_be_absent(inputs: Json, api: APIClient) -> None:
    made = answer(api.post(f"{API}/{make_workflow(api)}/trigger", inputs), 202)

    assert execution(api, made["execution_id"])["inputs"] == {}


def test_a_version_may_be_named_in_the_body_or_in_the_address(api: APIClient) -> None:
    workflow_id = make_workflow(api, version_id="v1")
    answer(api.patch(f"/v1/workflows/{workflow_id}", {"version_id": "v2"}))
    newer = f"/eachlabs/v1/workflows/trigger/{workflow_id}"

    ids = [trigger(api, workflow_id), trigger(api, workflow_id, version_id="v1")]
    for version in ("v1", "v2"):
        made = answer(api.post(f"{newer}/{version}", {"inputs": {}, "webhook_secret": "s"}), 202)
        assert list(made) == ["execution_id", "status"]
        ids.append(made["execution_id"])

    used = [answer(api.get(f"/v1/runs/{id_}"))["version_id"] for id_ in ids]
    assert used == ["v2", "v1", "v1", "v2"]
    assert error(api.post(f"{newer}/v3", {}), 404) == "version not found"
    refused = api.post(f"{API}/{workflow_id}/trigger", {"version_id": "v3"})
    assert error(refused, 404) == "version not found"


def test_a_bulk_trigger_answers_in_order_and_each_execution_sends_its_own_webhook(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    workflow_id = make_workflow(api)

    made = bulk(api, workflow_id, [{"n": 0}, "text", {"n": 2}, None, {}], webhook_url=receiver.url())

    assert [item["status"] for item in made["executions"]] == "queued failed queued failed queued".split()
    assert made["executions"][1] == {"status": "failed", "message": "invalid input: not a JSON object"}
    ids = [item["execution_id"] for item in made["executions"] if "execution_id" in item]
    assert [execution(api, id_)["inputs"] for id_ in ids] == [{"n": 0}, {"n": 2}, {}]
    for id_ in ids:
        report(api, id_, "start")
        report(api, id_, "complete")
    told = deliver()
    assert [request.body for request in told] == [api.get(f"{API}/executions/{i}").content for i in ids]
    assert all(f'"bulk_id":"{made["bulk_id"]}"'.encode() in request.body for request in told)


@pytest.mark.parametrize(
    "body", [{}, {"inputs": []}, {"inputs": [{}] * 11}, {"inputs": {}}, {"inputs": None}, [], "text"]
)
def test_a_bulk_trigger_has_one_to_ten_inputs(body: Any, api: APIClient) -> None:
    workflow_id = make_workflow(api, version_id="v1")
    before = row_counts()

    for path in (
        f"{API}/{workflow_id}/bulk-trigger",
        f"/eachlabs/v1/workflows/bulk-trigger/{workflow_id}/v1",
    ):
        assert error(api.post(path, body), 400) == BULK_SIZE

    assert row_counts() == before


def test_a_bad_url_refuses_the_whole_bulk(api: APIClient) -> None:
    workflow_id = make_workflow(api)
    before = row_counts()
    body = {"inputs": [{}, {}], "webhook_url": "https://10.0.0.1/"}

    text = error(api.post(f"{API}/{workflow_id}/bulk-trigger", body), 400)

    assert text == "webhook_url points to an address that is not allowed"
    assert row_counts() == before


def test_executions_are_listed_newest_first_page_by_page_and_by_bulk(api: APIClient) -> None:
    workflow_id = make_workflow(api, name="Sunsets", slug="sunsets", version_id="v1")
    made = bulk(api, workflow_id, [{}, {}, {}])
    single = completed(api, workflow_id)
    trigger(api)  # of another workflow
    path = f"{API}/workflows/{workflow_id}/executions"

    everything = answer(api.get(path))
    page = answer(api.get(path, {"limit": 2}))
    of_bulk = answer(api.get(f"{API}/workflows/sunsets/executions", {"bulk_id": made["bulk_id"]}))

    of_bulk_ids = [item["execution_id"] for item in reversed(made["executions"])]
    assert [row["execution_id"] for row in everything["executions"]] == [single, *of_bulk_ids]
    assert (everything["total_count"], "offset" in everything) == (4, False)
    assert [row["execution_id"] for row in page["executions"]] == [single, of_bulk_ids[0]]
    assert (page["offset"], page["total_count"]) == (2, 4)
    assert [row["execution_id"] for row in of_bulk["executions"]] == of_bulk_ids
    assert of_bulk["total_count"] == 3
    first = everything["executions"][0]
    names = "execution_id flow_id flow_name version_id status started_at ended_at created_at updated_at"
    assert list(first) == names.split()
    assert (first["flow_id"], first["flow_name"], first["version_id"]) == (workflow_id, "Sunsets", "v1")
    assert not {"started_at", "ended_at"} & set(everything["executions"][1])


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"offset": -1}, {"bulk_id": "x"}])
def test_lists_refuse_nonsense(query: Json, api: APIClient) -> None:
    text = error(api.get(f"{API}/workflows/{make_workflow(api)}/executions", query), 400)

    assert text.startswith(next(iter(query)))


def test_the_newer_hosts_paths_show_the_same(api: APIClient) -> None:
    workflow_id = make_workflow(api)
    id_ = completed(api, workflow_id)

    for seed, newer in (
        (f"{API}/executions/{id_}", f"/eachlabs/v1/workflows/executions/{id_}"),
        (f"{API}/workflows/{workflow_id}/executions", f"/eachlabs/v1/workflows/{workflow_id}/executions"),
    ):
        assert api.get(seed).content == api.get(newer).content
