"""/v1/workflows: what can be run, and with which webhook settings."""

from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from runs.models import WorkflowVersion
from subscriptions.models import Organization, Scope
from tests.factories import Json, answer, at_once, refusal, row_counts, workflow
from tests.integration.conftest import client_for


def get(api: APIClient, id_: str) -> Json:
    found: Json = answer(api.get(f"/v1/workflows/{id_}"))
    return found


def patch(api: APIClient, id_: str, **values: Any) -> Json:
    found: Json = answer(api.patch(f"/v1/workflows/{id_}", values))
    return found


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"dialect": "elan", "payload_format": "elan_event", "signature_schemes": ["standard_webhooks"]}),
        ({"dialect": "leap"}, {"payload_format": "leap_v2", "signature_schemes": ["none"]}),
        ({"dialect": "leap", "created_at": "2023-12-29T23:59:59Z"}, {"payload_format": "leap_v1"}),
        ({"dialect": "leap", "created_at": "2023-12-30T00:00:00Z"}, {"payload_format": "leap_v2"}),
        (
            {"dialect": "leap", "created_at": "2023-01-01T00:00:00Z", "payload_format": "leap_v2"},
            {"payload_format": "leap_v2"},
        ),
    ],
    ids=["native", "leap", "before 30 December 2023", "on that day", "the explicit choice wins"],
)
def test_a_dialect_brings_its_defaults(api: APIClient, values: Json, expected: Json) -> None:
    made = workflow(api, **values)

    assert {name: made[name] for name in expected} == expected
    assert (made["retry_policy"], made["timeout_seconds"]) == ("standard", 10.0)
    assert (made["outputs"], made["webhook_url"]) == (None, "")
    assert get(api, made["id"]) == made


@pytest.mark.parametrize(
    ("dialect", "prefix", "version"), [("elan", "wf_", "wfv_"), ("leap", "wkf_", "vsp_")]
)
def test_ids_have_the_dialect_s_form(api: APIClient, dialect: str, prefix: str, version: str) -> None:
    made = workflow(api, dialect=dialect)

    assert made["id"].startswith(prefix)
    assert made["version_id"].startswith(version)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outputs", {"imageUrl": "steps.draw.output", "a": "output"}),
        ("webhook_url", "https://example.com/new"),
        ("payload_format", "standard"),
        ("signature_schemes", ["hmac_sha256_hex"]),
        ("retry_policy", "eachlabs"),
        ("retry_schedule", [1.0]),
        ("timeout_seconds", 3.0),
    ],
)
def test_a_change_of_a_webhook_setting_publishes_a_new_version(
    api: APIClient, field: str, value: Any
) -> None:
    made = workflow(api, webhook_url="https://example.com/old")

    after = patch(api, made["id"], **{field: value})

    assert after[field] == value
    changed = {name for name in after if after[name] != made[name]}
    assert changed == {field, "version_id", "updated_at"}
    assert get(api, made["id"]) == after


def test_a_new_name_and_unchanged_settings_publish_nothing(api: APIClient) -> None:
    made = workflow(api, webhook_url="https://example.com/old")

    after = patch(api, made["id"], name="Dogs", webhook_url="https://example.com/old")

    assert (after["name"], after["version_id"]) == ("Dogs", made["version_id"])


def test_outputs_and_the_default_callback_can_be_taken_back(api: APIClient) -> None:
    made = workflow(api, outputs={"a": "output"}, webhook_url="https://example.com/old")

    after = patch(api, made["id"], outputs=None, webhook_url="")

    assert (after["outputs"], after["webhook_url"]) == (None, "")


def test_outputs_keep_their_order(api: APIClient) -> None:
    made = workflow(api, outputs={"z": "output", "a": "input", "m": "steps"})

    assert list(get(api, made["id"])["outputs"]) == ["z", "a", "m"]


def test_workflows_are_listed_newest_first(api: APIClient) -> None:
    ids = [workflow(api)["id"] for _ in range(3)]

    listed = answer(api.get("/v1/workflows"))

    assert [each["id"] for each in listed["workflows"]] == ids[::-1]
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 50, 0)
    assert answer(api.get("/v1/workflows?limit=1&offset=1"))["workflows"][0]["id"] == ids[1]


INVALID: dict[str, tuple[Json, str]] = {
    "no name": ({"name": ""}, "name"),
    "a name of 256 characters": ({"name": "x" * 256}, "name"),
    "an unknown dialect": ({"dialect": "esperanto"}, "dialect"),
    "another dialect's format": ({"payload_format": "leap_v2"}, "payload_format"),
    "a format for subscriptions": ({"dialect": "leap", "payload_format": "elan_event"}, "payload_format"),
    "outputs as a list": ({"outputs": ["a"]}, "outputs"),
    "a path that is no text": ({"outputs": {"a": 5}}, "outputs.a"),
    "101 outputs": ({"outputs": {f"o{n}": "output" for n in range(101)}}, "outputs"),
    "a private callback": ({"webhook_url": "https://10.0.0.1/"}, "webhook_url"),
    "a callback of 2049 characters": (
        {"webhook_url": "https://example.com/".ljust(2049, "x")},
        "webhook_url",
    ),
    "none and another scheme": ({"signature_schemes": ["none", "hmac_sha256_hex"]}, "signature_schemes"),
    "an unknown policy": ({"retry_policy": "often"}, "retry_policy"),
    "a wait of 8 days": ({"retry_schedule": [8 * 86400]}, "retry_schedule"),
    "no timeout at all": ({"timeout_seconds": 0}, "timeout_seconds"),
    "an unknown field": ({"retries": 5}, "retries"),
    "an impossible id": ({"id": "a b"}, "id"),
    "an impossible version": ({"version_id": "a/b"}, "version_id"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_input_is_a_422_that_names_the_field_and_makes_nothing(api: APIClient, case: str) -> None:
    values, field = INVALID[case]
    before = row_counts()

    response = api.post("/v1/workflows", {"name": "Cats"} | values)

    assert answer(response, 422)["field"] == field
    assert row_counts() == before


@pytest.mark.parametrize("field", ["dialect", "id", "created_at"])
def test_what_is_out_in_the_world_cannot_change(api: APIClient, field: str) -> None:
    made = workflow(api)

    refusal(api.patch(f"/v1/workflows/{made['id']}", {field: "leap"}), 422, "unknown_field", field)

    assert get(api, made["id"]) == made


def test_a_taken_id_is_a_conflict(api: APIClient) -> None:
    made = workflow(api, id="wkf_RL2LDs8LNO4LI6")

    refusal(api.post("/v1/workflows", {"name": "x", "id": made["id"]}), 409, "id_taken", "id")


def test_a_taken_version_id_is_a_conflict_and_changes_nothing(api: APIClient) -> None:
    made = workflow(api, version_id="vsp_shsgJaeiT1d8H9")
    body = {"name": "Dogs", "version_id": made["version_id"]}

    refusal(api.patch(f"/v1/workflows/{made['id']}", body), 409, "id_taken", "version_id")

    assert get(api, made["id"]) == made


def test_ids_are_the_organization_s_own(api: APIClient, other_api: APIClient) -> None:
    assert workflow(api, id="wf_same")["id"] == workflow(other_api, id="wf_same")["id"]


def test_only_a_key_that_may_import_names_a_version(organization: Organization) -> None:
    plain = client_for(organization, [Scope.RUNS_WRITE, Scope.RUNS_READ])
    made = workflow(plain)

    refusal(plain.patch(f"/v1/workflows/{made['id']}", {"version_id": "v2"}), 403, "missing_scope")


def test_rotating_gives_the_workflow_a_secret_of_its_own(api: APIClient) -> None:
    made = workflow(api)

    one = answer(api.post(f"/v1/workflows/{made['id']}/rotate-secret", {"overlap_seconds": 0}))
    other = answer(api.post(f"/v1/workflows/{made['id']}/rotate-secret"))

    assert one["signing_secret"].startswith("whsec_")
    assert one != other
    assert b"whsec_" not in api.get(f"/v1/workflows/{made['id']}").content


def test_parallel_changes_of_one_workflow_all_succeed_and_each_makes_a_version(api: APIClient) -> None:
    id_ = api.post("/v1/workflows", {"name": "Busy"}).json()["id"]

    def change(seconds: int) -> int:
        status: int = api.patch(f"/v1/workflows/{id_}", {"timeout_seconds": seconds}).status_code
        return status

    statuses = at_once(*(partial(change, seconds) for seconds in range(20, 32)))  # the default is 10

    assert statuses == [200] * 12
    assert WorkflowVersion.objects.filter(workflow__public_id=id_).count() == 13


def test_going_back_to_an_older_format_needs_to_be_said(api: APIClient) -> None:
    id_ = api.post("/v1/workflows", {"name": "Cats", "dialect": "leap"}).json()["id"]

    refused = api.patch(f"/v1/workflows/{id_}", {"payload_format": "leap_v1"})
    said = api.patch(f"/v1/workflows/{id_}", {"payload_format": "leap_v1", "allow_downgrade": True})

    assert (refused.status_code, refused.json()["code"]) == (422, "downgrade")
    assert (said.status_code, said.json()["payload_format"]) == (200, "leap_v1")
