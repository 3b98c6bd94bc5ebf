"""/v1/runs: repeats, impossible moves, two executors, times, imports, and reports at the same moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from rest_framework.test import APIClient

from subscriptions.models import Organization, Scope
from tests.factories import (
    Json,
    answer,
    at_once,
    events_of,
    refusal,
    report,
    row_counts,
    run,
    started_run,
    types_of,
    webhook,
    workflow,
)
from tests.integration.conftest import client_for

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
REPORTS: list[tuple[str, Json]] = [
    ("start", {"executor_id": "gpu-1"}),
    ("pause", {}),
    ("progress", {"progress": "uploading"}),
    ("complete", {"output": {"b": [1], "a": None}}),
    ("fail", {"error": {"message": "no", "code": "E"}}),
    ("terminate", {"error": "stopped"}),
    ("time-out", {}),
    ("cancel", {}),
]
ENDS = ["complete", "fail", "terminate", "time-out", "cancel"]


@pytest.mark.parametrize(("move", "body"), REPORTS, ids=[move for move, _ in REPORTS])
def test_a_repeat_is_answered_as_the_first_time_and_tells_nobody_twice(
    api: APIClient, wake_ups: list[object], move: str, body: Json
) -> None:
    webhook(api)
    made = run(api) if move == "start" else started_run(api)
    first = report(api, made["id"], move, body)
    told, counts, nudged = types_of(api, made["id"]), row_counts(), len(wake_ups)

    again = report(api, made["id"], move, body | {"occurred_at": first["updated_at"]})

    assert again == first
    assert types_of(api, made["id"]) == told
    assert row_counts() == counts
    assert len(wake_ups) == nudged


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", [*ENDS, "start", "pause", "progress"])
def test_nothing_moves_after_the_end_and_the_refusal_names_the_state(
    api: APIClient, first: str, second: str
) -> None:
    webhook(api)
    bodies = dict(REPORTS)
    # Another body than the first time: the same one would be a repeat.
    changed = {"complete": {"output": 2}, "fail": {"error": "other"}, "start": {"executor_id": "x"}}
    ended = report(api, started_run(api)["id"], first, bodies[first])

    again = api.post(f"/v1/runs/{ended['id']}/{second}", changed.get(second, bodies[second] | {"x": 1}))
    if first != second and second not in changed:
        again = api.post(f"/v1/runs/{ended['id']}/{second}", bodies[second])
    elif second not in changed:
        again = api.post(f"/v1/runs/{ended['id']}/{second}", {"error": "another"})

    body = refusal(again, 409, "impossible_move")
    assert ended["status"] in body["detail"]
    assert answer(api.get(f"/v1/runs/{ended['id']}")) == ended
    assert len(types_of(api, ended["id"])) == 2


@pytest.mark.parametrize(("move", "body"), [("pause", {}), ("complete", {}), ("progress", {"progress": "x"})])
def test_a_queued_run_cannot_pause_progress_or_complete(api: APIClient, move: str, body: Json) -> None:
    made = run(api)

    refused = refusal(api.post(f"/v1/runs/{made['id']}/{move}", body), 409, "impossible_move")

    assert "queued" in refused["detail"]
    assert answer(api.get(f"/v1/runs/{made['id']}")) == made


def test_a_second_start_by_another_executor_is_refused(api: APIClient) -> None:
    made = run(api)
    first = report(api, made["id"], "start", {"executor_id": "gpu-1"})

    again = report(api, made["id"], "start", {"executor_id": "gpu-1"})
    refusal(
        api.post(f"/v1/runs/{made['id']}/start", {"executor_id": "gpu-2"}),
        409,
        "other_executor",
        "executor_id",
    )

    assert again == first
    assert answer(api.get(f"/v1/runs/{made['id']}"))["executor_id"] == "gpu-1"


def test_of_two_executors_that_start_at_the_same_moment_one_wins(api: APIClient) -> None:
    webhook(api)
    made = run(api)

    def start(executor: str) -> int:
        response = api.post(f"/v1/runs/{made['id']}/start", {"executor_id": executor})
        return int(response.status_code)

    codes = at_once(lambda: start("gpu-1"), lambda: start("gpu-2"), lambda: start("gpu-3"))

    assert sorted(codes) == [200, 409, 409]
    assert types_of(api, made["id"]) == ["workflow.started"]


@pytest.mark.parametrize("round_", range(5))
def test_a_run_that_is_completed_and_failed_at_once_ends_once(api: APIClient, round_: int) -> None:
    webhook(api)
    made = started_run(api)
    path = f"/v1/runs/{made['id']}"

    responses: list[Any] = at_once(
        lambda: api.post(f"{path}/complete", {"output": 1}),
        lambda: api.post(f"{path}/fail", {"error": "no"}),
        lambda: api.post(f"{path}/complete", {"output": 1}),
        lambda: api.post(f"{path}/cancel", {}),
    )

    ended = answer(api.get(path))
    told = [event for event in events_of(api, made["id"]) if event["type"] != "workflow.started"]
    assert {response.status_code for response in responses} == {200, 409}
    assert [event["type"] for event in told] == [f"workflow.{ended['status']}"]
    assert len(told[0]["deliveries"]) == 1
    for response in responses:
        if response.status_code == 200:
            assert answer(response) == ended


def test_runs_with_one_external_id_made_at_once_are_one_run(api: APIClient) -> None:
    body = {"workflow_id": workflow(api)["id"], "external_id": "job-1", "input": {"a": 1}}

    responses: list[Any] = at_once(*[lambda: api.post("/v1/runs", body)] * 4)

    assert sorted(response.status_code for response in responses) == [200, 200, 200, 201]
    assert len({response.data["id"] for response in responses}) == 1


@pytest.mark.parametrize(
    ("occurred_at", "code"),
    [
        (NOW + timedelta(minutes=5, seconds=1), "in_the_future"),
        (NOW - timedelta(seconds=1), "too_early"),
        ("yesterday", "invalid"),
        (1_700_000_000, "invalid"),
        ("0001-01-01T00:00:00+10:00", "overflow"),
    ],
    ids=str,
)
def test_a_report_cannot_come_from_the_future_or_from_before_the_run(
    organization: Organization, occurred_at: Any, code: str
) -> None:
    plain = client_for(organization, [Scope.RUNS_WRITE, Scope.RUNS_READ])
    text = occurred_at.isoformat() if isinstance(occurred_at, datetime) else occurred_at

    with freeze_time(NOW):
        made = run(plain)
        refusal(plain.post(f"/v1/runs/{made['id']}/start", {"occurred_at": text}), 422, code, "occurred_at")

        assert answer(plain.get(f"/v1/runs/{made['id']}")) == made


def test_a_report_says_when_it_happened(api: APIClient) -> None:
    webhook(api)
    with freeze_time(NOW) as clock:
        made = run(api)
        clock.tick(timedelta(minutes=10))
        report(api, made["id"], "start", {"occurred_at": "2026-03-01T13:01:00.000001+01:00"})
        clock.tick(1)
        ended = report(api, made["id"], "complete", {"occurred_at": "2026-03-01T12:02:00Z"})
        events = events_of(api, made["id"])

    assert ended["started_at"] == "2026-03-01T12:01:00.000001Z"
    assert ended["ended_at"] == "2026-03-01T12:02:00Z"
    assert [event["occurred_at"] for event in events] == [ended["started_at"], ended["ended_at"]]


def test_a_run_cannot_end_before_it_started(api: APIClient) -> None:
    made = started_run(api)

    response = api.post(f"/v1/runs/{made['id']}/complete", {"occurred_at": "2020-01-01T00:00:00Z"})

    refusal(response, 422, "too_early", "occurred_at")


@pytest.mark.parametrize(
    "values",
    [{"id": "rnp_OegyoGJxj9lyk4xbtQ"}, {"created_at": "2023-12-30T19:35:10.428941+00:00"}],
    ids=["id", "created_at"],
)
def test_only_a_key_that_may_import_sets_ids_and_times(organization: Organization, values: Json) -> None:
    plain = client_for(organization, [Scope.RUNS_WRITE, Scope.RUNS_READ])
    body = {"workflow_id": workflow(plain)["id"]} | values

    refusal(plain.post("/v1/runs", body), 403, "missing_scope")
    refusal(plain.post("/v1/workflows", {"name": "x"} | values), 403, "missing_scope")

    assert answer(plain.get("/v1/runs"))["total"] == 0


def test_an_imported_run_keeps_its_id_and_times(api: APIClient) -> None:
    made = run(api, id="rnp_OegyoGJxj9lyk4xbtQ", created_at="2023-12-30T19:35:10.428941+00:00")
    started = report(api, made["id"], "start", {"occurred_at": "2023-12-30T19:35:12.028968+00:00"})

    assert made["id"] == "rnp_OegyoGJxj9lyk4xbtQ"
    assert started["created_at"] == "2023-12-30T19:35:10.428941Z"
    assert started["started_at"] == "2023-12-30T19:35:12.028968Z"
    again = {"workflow_id": made["workflow_id"], "id": made["id"]}
    refusal(api.post("/v1/runs", again), 409, "id_taken", "id")


@pytest.mark.parametrize("id_", ["", "a b", "a/b", "é", "x" * 129, "a\n"])
def test_an_imported_id_has_a_sane_form(api: APIClient, id_: str) -> None:
    response = api.post("/v1/runs", {"workflow_id": workflow(api)["id"], "id": id_})

    if response.status_code == 201:  # blanks around it are not part of it
        assert answer(response, 201)["id"] == id_.strip()
    else:
        assert answer(response, 422)["field"] == "id"


def test_after_a_pause_only_the_same_executor_goes_on_and_its_repeats_stay_repeats(api: APIClient) -> None:
    id_ = run(api)["id"]
    mine, others = {"executor_id": "mine"}, {"executor_id": "other"}
    first = api.post(f"/v1/runs/{id_}/start", mine)
    api.post(f"/v1/runs/{id_}/pause")

    refused = api.post(f"/v1/runs/{id_}/start", others)
    resumed = api.post(f"/v1/runs/{id_}/start")
    repeated = api.post(f"/v1/runs/{id_}/start", mine)

    assert [answer.status_code for answer in (first, refused, resumed, repeated)] == [200, 409, 200, 200]
    assert refused.json()["code"] == "other_executor"
    assert repeated.json()["executor_id"] == "mine"
