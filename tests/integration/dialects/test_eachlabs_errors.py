"""eachlabs (seed 004): refusals, and who may see which execution."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from subscriptions.models import DEFAULT_SCOPES, Organization, Scope
from subscriptions.services import api_key_create
from tests.factories import Json, row_counts, run
from tests.integration.conftest import client_for
from tests.integration.dialects.test_eachlabs import API, execution, make_workflow, trigger
from tests.integration.dialects.test_eachlabs_api import LOG, bulk, error


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"inputs": []}, "inputs: Not a JSON object."),
        ({"webhook_url": "ftp://x.example/"}, "webhook_url must start with "),
        ({"webhook_url": "https://192.168.0.1/"}, "webhook_url points to an address"),
        ({"webhook_secret": "a\r\nX-Evil: 1"}, "webhook_secret: Printable ASCII"),
        ({"webhook_secret": "x" * 256}, "webhook_secret: "),
        ({"version_id": 1}, "version_id: Not a string."),
        ([], ""),
    ],
)
def test_a_refused_trigger_is_a_400_and_leaves_nothing_behind(body: Any, text: str, api: APIClient) -> None:
    workflow_id = make_workflow(api)
    before = row_counts()

    assert error(api.post(f"{API}/{workflow_id}/trigger", body), 400).startswith(text)

    assert row_counts() == before


def test_what_is_not_there_or_not_ones_own_is_a_404(api: APIClient, other_api: APIClient) -> None:
    workflow_id = make_workflow(api)
    id_ = trigger(api, workflow_id)
    native = run(api)

    for client, name in ((api, "none"), (other_api, workflow_id), (api, native["workflow_id"])):
        for path in (f"{API}/{name}/trigger", f"{API}/{name}/bulk-trigger"):
            assert error(client.post(path, {"inputs": [{}]} if "bulk" in path else {}), 404)
        assert error(client.get(f"{API}/workflows/{name}/executions"), 404) == "workflow not found"
    for client, name in ((api, "none"), (other_api, id_), (api, native["id"])):
        assert error(client.get(f"{API}/executions/{name}"), 404) == "execution not found"


def test_either_header_carries_the_key(organization: Organization) -> None:
    _, key = api_key_create(organization=organization)
    nobody, bearer, header = APIClient(), APIClient(), APIClient()
    bearer.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    header.credentials(HTTP_X_API_KEY=key)

    id_ = trigger(header, make_workflow(bearer))

    assert execution(bearer, id_)["status"] == "queued"
    for path in (f"{API}/executions/{id_}", LOG, f"{LOG}/{id_}"):
        assert error(nobody.get(path), 401)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("trigger", {"id": "exec-1"}),
        ("trigger", {"created_at": "2025-12-04T11:48:10Z"}),
        ("bulk-trigger", {"inputs": [{}], "ids": ["exec-1"]}),
        ("bulk-trigger", {"inputs": [{}], "bulk_id": "550e8400-e29b-41d4-a716-446655440000"}),
    ],
)
def test_importing_needs_its_scope(path: str, body: Json, api: APIClient, organization: Organization) -> None:
    workflow_id = make_workflow(api)
    ordinary = client_for(organization, DEFAULT_SCOPES)

    assert "runs:import" in error(ordinary.post(f"{API}/{workflow_id}/{path}", body), 403)
    reader = client_for(organization, [Scope.RUNS_READ])
    assert error(reader.post(f"{API}/{workflow_id}/trigger", {}), 403)
    assert error(reader.get(LOG), 403)


def test_an_imported_id_that_is_taken_fails_only_its_own_item(api: APIClient) -> None:
    workflow_id = make_workflow(api)
    trigger(api, workflow_id, id="exec-1")

    made = bulk(api, workflow_id, [{}, {}], ids=["exec-1", "exec-2"])

    assert [item["status"] for item in made["executions"]] == ["failed", "queued"]
    assert made["executions"][0]["message"] == "a run of this id exists"


@pytest.mark.parametrize("path", ["/eachlabs/", "/eachlabs/api/v1/nothing", "/eachlabs/v2/webhooks"])
def test_an_unknown_address_is_a_404_in_the_same_envelope(path: str, api: APIClient) -> None:
    assert error(api.get(path), 404) == f"There is nothing at {path}."
