"""/v1/runs: what an executor reports, how it is answered, and who is told."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.factories import (
    Json,
    answer,
    completed_run,
    events_of,
    refusal,
    report,
    run,
    started_run,
    types_of,
    webhook,
    workflow,
)

INPUT = {"prompt": "a cat", "size": [1, None, {"b": 2, "a": 1.5}], "ok": True}
ERROR = {
    "message": "Model timeout",
    "code": "Timeout",
    "cause": "step 2",
    "step": "draw",
    "category": "model",
}


def get(api: APIClient, id_: str) -> Json:
    found: Json = answer(api.get(f"/v1/runs/{id_}"))
    return found


def test_a_new_run_is_queued_and_tells_nobody(api: APIClient) -> None:
    made = run(api, input=INPUT, webhook_url="https://example.com/cb")

    assert made["status"] == "queued"
    assert made["input"] == INPUT
    assert made["webhook_url"] == "https://example.com/cb"
    assert [made[name] for name in ("output", "error", "started_at", "ended_at", "external_id")] == [None] * 5
    assert (made["artifacts"], made["steps"]) == ([], [])
    assert get(api, made["id"]) == made
    assert events_of(api, made["id"]) == []


@pytest.mark.parametrize(
    "value",
    [INPUT, {}, [], [1, "x"], "text", 5, 1.5, True, False, None, "", "\x00 and \ud800", 10**30],
    ids=lambda value: repr(value)[:20],
)
def test_outputs_are_answered_as_the_json_that_was_reported(api: APIClient, value: Any) -> None:
    ended = completed_run(api, output=value)

    assert ended["output"] == value
    assert get(api, ended["id"])["output"] == value


def test_inputs_keep_the_order_of_their_keys(api: APIClient) -> None:
    made = run(api, input={"z": 1, "a": 2, "m": 3})

    assert list(get(api, made["id"])["input"]) == ["z", "a", "m"]


def test_a_run_from_start_to_completion(api: APIClient) -> None:
    webhook(api)
    made = run(api)

    started = report(api, made["id"], "start")
    ended = report(api, made["id"], "complete", {"output": {"url": "x.jpeg"}})

    assert started["status"] == "running"
    assert started["started_at"] is not None
    assert (ended["status"], ended["output"], ended["error"]) == ("completed", {"url": "x.jpeg"}, None)
    assert ended["created_at"] <= ended["started_at"] <= ended["ended_at"]
    assert types_of(api, made["id"]) == ["workflow.started", "workflow.completed"]


@pytest.mark.parametrize(
    ("move", "status", "event"),
    [
        ("fail", "failed", "workflow.failed"),
        ("terminate", "terminated", "workflow.failed"),
        ("time-out", "timed_out", "workflow.failed"),
        ("cancel", "cancelled", "workflow.cancelled"),
    ],
)
@pytest.mark.parametrize("before", ["queued", "running", "paused"])
def test_other_ends(api: APIClient, move: str, status: str, event: str, before: str) -> None:
    webhook(api)
    made = run(api)
    for step in {"queued": [], "running": ["start"], "paused": ["start", "pause"]}[before]:
        report(api, made["id"], step)

    ended = report(api, made["id"], move, {"error": ERROR})

    assert (ended["status"], ended["error"], ended["output"]) == (status, ERROR, None)
    assert ended["ended_at"] is not None
    assert types_of(api, made["id"])[-1] == event


def test_an_error_may_be_a_plain_text(api: APIClient) -> None:
    ended = report(api, run(api)["id"], "fail", {"error": "Content policy violation"})

    assert ended["error"] == {"message": "Content policy violation"}


@pytest.mark.parametrize(
    "error",
    [
        *(None, "", 5, [], {}, {"code": "x"}, {"message": ""}, {"message": 5}),
        *({"message": "x", "other": "y"}, {"message": "x", "code": 5}),
    ],
    ids=str,
)
def test_an_error_of_another_shape_is_refused(api: APIClient, error: Any) -> None:
    made = run(api)

    body = answer(api.post(f"/v1/runs/{made['id']}/fail", {"error": error}), 422)

    assert body["field"] == "error"
    assert get(api, made["id"]) == made


def test_pausing_and_resuming_tell_nobody(api: APIClient) -> None:
    webhook(api)
    made = started_run(api)

    paused = report(api, made["id"], "pause")
    resumed = report(api, made["id"], "start")

    assert (paused["status"], resumed["status"]) == ("paused", "running")
    assert resumed["started_at"] == made["started_at"]
    assert types_of(api, made["id"]) == ["workflow.started"]


def test_progress_is_a_word_until_the_end(api: APIClient) -> None:
    webhook(api)
    made = started_run(api)

    assert report(api, made["id"], "progress", {"progress": "uploading"})["progress"] == "uploading"
    assert report(api, made["id"], "progress", {"progress": "resting"})["progress"] == "resting"
    assert report(api, made["id"], "complete")["progress"] == ""
    assert types_of(api, made["id"]) == ["workflow.started", "workflow.completed"]


def test_artifacts_are_kept_as_they_were_reported(api: APIClient) -> None:
    artifacts = [
        {"kind": "image", "id": "img-1", "url": "https://cdn.example.com/1.png"},
        {
            "kind": "file",
            "url": "s3://bucket/x",
            "filename": "x.pdf",
            "size": 12345,
            "checksum": "sha256:ab",
            "modified_at": "2026-01-31T15:20:42.160725",
        },
    ]

    ended = report(api, started_run(api)["id"], "complete", {"artifacts": artifacts})

    assert ended["artifacts"] == artifacts


@pytest.mark.parametrize(
    "artifact",
    [
        "https://example.com/x.png",
        {"kind": "image"},
        {"url": "x"},
        {"kind": "song", "url": "x"},
        {"kind": "file", "url": "x", "size": -1},
        {"kind": "file", "url": "x", "sise": 1},
    ],
    ids=str,
)
def test_a_malformed_artifact_is_refused(api: APIClient, artifact: Any) -> None:
    made = started_run(api)

    response = api.post(f"/v1/runs/{made['id']}/complete", {"artifacts": [artifact]})

    assert answer(response, 422)["field"].startswith("artifacts")
    assert get(api, made["id"])["status"] == "running"


def test_runs_are_listed_newest_first_and_filtered(api: APIClient) -> None:
    cats, dogs = workflow(api)["id"], workflow(api)["id"]
    one = run(api, workflow_id=cats, external_id="job-1")["id"]
    two = started_run(api, workflow_id=dogs)["id"]
    three = run(api, workflow_id=cats)["id"]

    def ids(**query: Any) -> list[str]:
        return [each["id"] for each in answer(api.get("/v1/runs", query))["runs"]]

    assert ids() == [three, two, one]
    assert ids(limit=1, offset=1) == [two]
    assert ids(status="queued") == [three, one]
    assert ids(workflow_id=cats) == [three, one]
    assert ids(workflow_id=cats, external_id="job-1") == [one]
    assert ids(workflow_id="wf_unknown") == []
    refusal(api.get("/v1/runs?status=bogus"), 422, "invalid_choice", "status")


def test_the_same_external_id_gives_the_same_run(api: APIClient) -> None:
    values = {"workflow_id": workflow(api)["id"], "input": INPUT, "external_id": "job-1"}
    first = run(api, **values)

    again = answer(api.post("/v1/runs", values), 200)

    assert again == first
    assert answer(api.get("/v1/runs"))["total"] == 1


@pytest.mark.parametrize("changed", [{"input": {"b": 2}}, {"webhook_url": "https://example.com/x"}], ids=str)
def test_an_external_id_that_was_used_for_another_run_is_a_conflict(api: APIClient, changed: Json) -> None:
    values = {"workflow_id": workflow(api)["id"], "input": {"a": 1}, "external_id": "job-1"}
    run(api, **values)

    refusal(api.post("/v1/runs", values | changed), 409, "external_id_taken", "external_id")


def test_an_external_id_is_the_organization_s_own(api: APIClient, other_api: APIClient) -> None:
    one = run(api, external_id="job-1")
    other = run(other_api, external_id="job-1")

    assert one["id"] != other["id"]


@pytest.mark.parametrize("external_id", ["", " ", "a b", "é", "x" * 129, 5])
def test_an_external_id_is_printable_ascii(api: APIClient, external_id: Any) -> None:
    response = api.post("/v1/runs", {"workflow_id": workflow(api)["id"], "external_id": external_id})

    assert answer(response, 422)["field"] == "external_id"


def test_an_unknown_workflow_is_a_404(api: APIClient) -> None:
    refusal(api.post("/v1/runs", {"workflow_id": "wf_nope"}), 404, "not_found")


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "ftp://example.com/", "https://a:b@example.com/", "x"])
def test_a_callback_url_is_judged_like_any_target(api: APIClient, url: str) -> None:
    body = {"workflow_id": workflow(api)["id"], "webhook_url": url}

    refusal(api.post("/v1/runs", body), 422, "url_not_allowed", "webhook_url")
    assert answer(api.get("/v1/runs"))["total"] == 0
