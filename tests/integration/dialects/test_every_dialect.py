"""What holds in every dialect alike, asked through each one's own API."""

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.test import Client
from rest_framework.test import APIClient

from delivery.models import Delivery
from runs.models import Run
from subscriptions.models import Organization
from tests.factories import Json, answer, row_counts, workflow
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_skyvern import caller_of
from tests.receiver import Receiver


class Dialect(NamedTuple):
    """How its callers ask for a run and read it. Paths are written out: clients in the world have them."""

    create: str
    body: Json
    read: str
    id_key: str
    #: what a receiver reads the run's id from
    told_id: Callable[[Json], str]
    url_field: str = "webhook_url"
    refusal: int = 422
    #: the one with its own limits for the attempt
    timeout_seconds: float = 10.0
    retry_policy: str = "standard"


DIALECTS = {
    "elan": Dialect(
        "/v1/runs", {"workflow_id": "{id}"}, "/v1/runs/{}", "id", lambda body: str(body["data"]["run_id"])
    ),
    "leap": Dialect(
        "/leap/v1/runs", {"workflow_id": "{id}"}, "/leap/v1/runs/{}", "id", lambda body: str(body["id"])
    ),
    "leaperone": Dialect(
        "/leaperone/v1/images/generations",
        {"model": "{slug}", "prompt": "a cat"},
        "/leaperone/v1/images/generations/{}",
        "id",
        lambda body: str(body["id"]),
        url_field="callbackUrl",
        refusal=400,
        retry_policy="leaperone",
    ),
    "skyvern": Dialect(
        "/skyvern/v1/run/workflows",
        {"workflow_id": "{id}"},
        "/skyvern/v1/runs/{}",
        "run_id",
        lambda body: str(body["run_id"]),
        timeout_seconds=30.0,
        retry_policy="skyvern",
    ),
    "eachlabs": Dialect(
        "/eachlabs/api/v1/{id}/trigger",
        {"inputs": {}},
        "/eachlabs/api/v1/executions/{}",
        "execution_id",
        lambda body: str(body["execution_id"]),
        refusal=400,
        retry_policy="eachlabs",
    ),
}
in_every_dialect = pytest.mark.parametrize("name", DIALECTS)


@pytest.fixture
def api(organization: Organization) -> APIClient:
    """With a key that may do all and signs, as one of the dialects needs it."""
    return caller_of(organization).api


def new_workflow(api: APIClient, name: str, **values: Any) -> Json:
    return workflow(api, dialect=name, slug="portraits", **values)


def ask(api: APIClient, name: str, made: Json, url: str | None = None, **values: Any) -> Any:
    """The response to the caller's request for a run."""
    dialect = DIALECTS[name]
    body = {
        key: value.format_map(made) if isinstance(value, str) else value
        for key, value in dialect.body.items()
    }
    if url is not None:
        body[dialect.url_field] = url
    return api.post(dialect.create.format_map(made), body | values)


def run_of(api: APIClient, name: str, made: Json, url: str | None = None, **values: Any) -> str:
    response = ask(api, name, made, url, **values)
    assert response.status_code in (200, 201, 202), response.content
    run_id: str = response.json()[DIALECTS[name].id_key]
    return run_id


def complete(api: APIClient, run_id: str) -> None:
    report(api, run_id, "start")
    report(api, run_id, "complete", {"output": {"url": "a.png"}})


@in_every_dialect
def test_the_workflows_url_is_told_where_the_run_names_none(
    name: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    made = new_workflow(api, name, webhook_url=f" {receiver.url('/default')} ")
    silent_about_it = [run_of(api, name, made), run_of(api, name, made, "  ")]
    own = run_of(api, name, made, f" {receiver.url('/own')} ")

    for run_id in (*silent_about_it, own):
        complete(api, run_id)
    deliver()

    told = {
        path: [DIALECTS[name].told_id(json.loads(request.body)) for request in receiver.at(path)]
        for path in ("/default", "/own")
    }
    assert told == {"/default": silent_about_it, "/own": [own]}


@in_every_dialect
def test_only_skyvern_tells_a_callback_of_a_cancelled_run(
    name: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    run_id = run_of(api, name, new_workflow(api, name), receiver.url())

    report(api, run_id, "cancel")

    assert len(deliver()) == (1 if name == "skyvern" else 0)


@in_every_dialect
def test_a_callback_url_has_at_most_2048_characters(name: str, api: APIClient) -> None:
    made, url = new_workflow(api, name), "https://hooks.example.com/"
    before = row_counts()

    refused = [ask(api, name, made, url.ljust(2049, "x"))]
    if name == "skyvern":  # with the scheme that it lacks it is too long
        refused.append(ask(api, name, made, url.removeprefix("https://").ljust(2041, "x")))

    for response in refused:
        assert response.status_code == DIALECTS[name].refusal, response.content
        assert DIALECTS[name].url_field in response.content.decode()
    assert row_counts() == before
    longest = run_of(api, name, made, url.ljust(2048, "x"))
    assert len(Run.objects.get(public_id=longest).webhook_url) == 2048


@in_every_dialect
def test_a_callback_has_the_systems_timeout_and_schedule(
    name: str, api: APIClient, receiver: Receiver
) -> None:
    complete(api, run_of(api, name, new_workflow(api, name), receiver.url()))

    callback: Any = Delivery.objects.get().callback

    expected = DIALECTS[name].timeout_seconds, DIALECTS[name].retry_policy, None
    assert (callback["timeout_seconds"], callback["retry_policy"], callback["retry_schedule"]) == expected


@in_every_dialect
def test_runs_of_the_other_systems_do_not_exist(name: str, api: APIClient) -> None:
    """Their ids have this system's form, so that nothing but the rule keeps them away."""
    ids = {other: f"rnp_{'A' * 17}{number}" for number, other in enumerate(DIALECTS)}
    for other, run_id in ids.items():
        assert run_of(api, other, new_workflow(api, other), id=run_id) == run_id

    for other, run_id in ids.items():
        found = api.get(DIALECTS[name].read.format(run_id)).status_code
        # The native API is that of every run's executor.
        assert found == (200 if other == name or name == "elan" else 404), other
        if name == "skyvern" and other != name:
            for action in ("cancel", "retry_webhook"):
                assert api.post(f"/skyvern/v1/runs/{run_id}/{action}").status_code == 404
    assert set(Run.objects.values_list("status", flat=True)) == {"queued"}


@in_every_dialect
def test_a_run_signed_with_the_callers_key_needs_one_that_signs(
    name: str, organization: Organization, receiver: Receiver
) -> None:
    signing, mute = caller_of(organization).api, caller_of(organization, signs=False).api
    made = new_workflow(signing, name, signature_schemes=["skyvern"])
    before = row_counts()
    dialect = DIALECTS[name]

    refused = ask(mute, name, made, receiver.url())

    status = 400 if name == "skyvern" else dialect.refusal
    assert (refused.status_code, row_counts()) == (status, before)
    error = refused.json()["error"] if name in ("leaperone", "eachlabs") else refused.json()
    text = error if name == "eachlabs" else error["message"] if name == "leaperone" else error["detail"]
    assert text.endswith(f'"signs": true. Create a key that signs, or leave {dialect.url_field} out.')
    if name != "eachlabs":
        assert error["code"] == "no_signing_key"
    if name in ("elan", "leap", "skyvern"):
        assert error["field"] == dialect.url_field
    run_of(mute, name, made)
    run_of(mute, name, made, " ")
    run_of(signing, name, made, receiver.url())


@in_every_dialect
def test_a_workflows_url_needs_a_key_that_signs_as_well(
    name: str, organization: Organization, receiver: Receiver
) -> None:
    signing, mute = caller_of(organization).api, caller_of(organization, signs=False).api
    made = new_workflow(signing, name, signature_schemes=["skyvern"], webhook_url=receiver.url())

    status = 400 if name == "skyvern" else DIALECTS[name].refusal
    assert ask(mute, name, made).status_code == status
    run_of(signing, name, made)


@in_every_dialect
def test_the_key_comes_in_either_header_and_bearer_counts(name: str, organization: Organization) -> None:
    caller = caller_of(organization)
    run_id = run_of(caller.api, name, new_workflow(caller.api, name))

    def status(**headers: str) -> int:
        client = APIClient()
        client.credentials(**headers)
        found: int = client.get(DIALECTS[name].read.format(run_id)).status_code
        return found

    right, wrong = caller.key, "rhk_nobody"
    assert status(HTTP_AUTHORIZATION=f"Bearer {right}") == status(HTTP_X_API_KEY=right) == 200
    assert status(HTTP_AUTHORIZATION=f"Bearer {right}", HTTP_X_API_KEY=wrong) == 200
    assert status(HTTP_AUTHORIZATION=f"Bearer {wrong}", HTTP_X_API_KEY=right) == 401


def test_a_bulk_is_refused_as_a_whole_where_the_key_does_not_sign(
    organization: Organization, receiver: Receiver
) -> None:
    mute = caller_of(organization, signs=False).api
    made = new_workflow(mute, "eachlabs", signature_schemes=["skyvern"])
    before = row_counts()
    body = {"inputs": [{}, {}], "webhook_url": receiver.url()}

    refused = answer(mute.post(f"/eachlabs/api/v1/{made['id']}/bulk-trigger", body), 400)

    assert "signs" in refused["error"]
    assert row_counts() == before


PATHS = """
    /leap/v1/runs /leap/v1/runs/{}
    /leaperone/v1/images/generations /leaperone/v1/images/generations/{}
    /skyvern/v1/run/tasks /skyvern/v1/run/agents /skyvern/v1/run/workflows
    /skyvern/v1/runs/{} /skyvern/v1/runs/{}/cancel /skyvern/v1/runs/{}/retry_webhook
    /eachlabs/api/v1/{}/trigger /eachlabs/api/v1/{}/bulk-trigger /eachlabs/api/v1/executions/{}
    /eachlabs/api/v1/workflows/{}/executions
    /eachlabs/v1/workflows/trigger/{}/{} /eachlabs/v1/workflows/bulk-trigger/{}/{}
    /eachlabs/v1/workflows/executions/{} /eachlabs/v1/workflows/{}/executions
    /eachlabs/v1/webhooks /eachlabs/v1/webhooks/{}
""".split()


def test_the_paths_that_clients_are_pointed_at() -> None:
    described = json.loads(Client().get("/openapi.json").content)["paths"]

    paths = {re.sub(r"\{\w+\}", "{}", path) for path in described}

    assert {path for path in paths if not path.startswith("/v1/")} == set(PATHS)
