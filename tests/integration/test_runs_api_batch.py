"""`POST /v1/runs/batch`: many reports, each on its own; and whose organizations a key acts for."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from runs.models import Run, Step
from subscriptions.models import Organization
from tests.factories import at_once
from tests.integration.conftest import CollectedWakeUps, client_for
from tests.integration.moves import aside, wait_until_blocked
from tests.integration.test_queries import statements


def new_run(api: APIClient) -> str:
    workflow = api.post("/v1/workflows", {"name": "Batch"}).json()["id"]
    run: str = api.post("/v1/runs", {"workflow_id": workflow}).json()["id"]
    return run


def batch(api: APIClient, *reports: Any) -> list[dict[str, Any]]:
    answer = api.post("/v1/runs/batch", {"reports": list(reports)})
    assert answer.status_code == 200, answer.content
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_a_whole_run_is_reported_in_one_call(
    api: APIClient, subscribe: Any, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    run = new_run(api)

    results = batch(
        api,
        {"run_id": run, "move": "start"},
        {"run_id": run, "move": "start", "step": "one"},
        {"run_id": run, "move": "complete", "step": "one", "report": {"output": 1}},
        {"run_id": run, "move": "complete", "report": {"output": {"done": True}}},
    )

    assert [result["state"] for result in results] == ["running", "running", "completed", "completed"]
    assert api.get(f"/v1/runs/{run}").json()["output"] == {"done": True}
    assert len(wake_ups) == 4


def test_each_report_is_applied_or_refused_on_its_own_and_answered_in_order(api: APIClient) -> None:
    first, second = new_run(api), new_run(api)

    results = batch(
        api,
        {"run_id": first, "move": "complete"},
        {"run_id": "run_nobody", "move": "start"},
        *("nonsense", None, 5, []),
        {"run_id": second, "move": "start", "report": {"colour": "red"}},
        {"run_id": second, "move": "pause", "step": "one"},
        {"run_id": second, "move": "start"},
    )

    assert [result["status"] for result in results] == [409, 404, 422, 422, 422, 422, 422, 422, 200]
    assert [result.get("error", {}).get("code") for result in results] == [
        *("impossible_move", "not_found", "invalid", "null", "invalid", "invalid"),
        *("unknown_field", "invalid_choice", None),
    ]
    assert api.get(f"/v1/runs/{second}").json()["status"] == "running"


def test_calls_with_the_same_runs_in_other_orders_wait_for_one_another_in_one_order(api: APIClient) -> None:
    first, second = sorted([new_run(api), new_run(api)])
    starts = [{"run_id": run, "move": "start"} for run in (second, first)]

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Run.objects.select_for_update().get(public_id=first)
        waiting = aside(pool, lambda: batch(api, *starts))
        wait_until_blocked()
        # Had it locked them as it named them, it would hold the second while it waits for the first.
        Run.objects.select_for_update(nowait=True).get(public_id=second)

    assert [result["status"] for result in waiting.result()] == [200, 200]


def test_reports_that_waited_for_others_know_what_these_did(api: APIClient) -> None:
    run = new_run(api)
    batch(api, {"run_id": run, "move": "start"})

    results = at_once(*[partial(batch, api, *_steps(run, name)) for name in "abcd"])

    assert [[result["status"] for result in one] for one in results] == [[200, 200]] * 4
    assert [step.index for step in Step.objects.filter(run__public_id=run).order_by("index")] == [0, 1, 2, 3]


def _steps(run: str, name: str) -> list[dict[str, Any]]:
    return [{"run_id": run, "step": name, "move": move} for move in ("start", "complete")]


def test_the_number_of_reports_does_not_change_the_number_of_statements(
    api: APIClient, subscribe: Any
) -> None:
    subscribe()
    workflow = api.post("/v1/workflows", {"name": "Batch"}).json()["id"]
    runs = [api.post("/v1/runs", {"workflow_id": workflow}).json()["id"] for _ in range(10)]
    reports = [
        report
        for run in runs
        for report in (
            {"run_id": run, "move": "start"},
            *_steps(run, "one"),
            {"run_id": run, "move": "complete"},
        )
    ]

    with CaptureQueriesContext(connection) as captured:
        batch(api, *reports)

    # The recipients of four types of events, and all rows of forty events.
    assert statements(captured) == [
        "SELECT subscriptions_apikey",
        "BEGIN",
        "EXECUTE runhooks_hold_runs",
        "EXECUTE runhooks_read_steps",
        *["EXECUTE runhooks_recipients"] * 4,
        "EXECUTE runhooks_write_runs",
        "EXECUTE runhooks_store",
        "COMMIT",
    ]


def test_too_many_reports_are_refused_as_a_whole(api: APIClient, settings: Settings) -> None:
    settings.RUN_REPORTS_PER_BATCH_MAX = 2
    run = new_run(api)

    answer = api.post("/v1/runs/batch", {"reports": [{"run_id": run, "move": "start"}] * 3})

    assert answer.status_code == 422
    assert answer.json()["field"] == "reports"
    assert api.get(f"/v1/runs/{run}").json()["status"] == "queued"


def test_reports_about_another_organizations_run_find_nothing(api: APIClient, other_api: APIClient) -> None:
    run = new_run(api)

    (result,) = batch(other_api, {"run_id": run, "move": "start"})

    assert result["status"] == 404
    assert api.get(f"/v1/runs/{run}").json()["status"] == "queued"


@pytest.mark.parametrize("wanted", [False, True], ids=["its default one", "one of X-Org-Id"])
def test_a_key_is_told_its_organizations_and_the_active_one(
    wanted: bool, organization: Organization, other_organization: Organization
) -> None:
    client = client_for(organization)
    organization.api_keys.get().organizations.add(other_organization)
    active = other_organization if wanted else organization

    headers = {"X-Org-Id": active.public_id} if wanted else {}
    answer = client.get("/v1/users/me/organizations", headers=headers).json()

    assert answer["active_organization_id"] == active.public_id
    assert {o["organization_id"]: o["is_active"] for o in answer["organizations"]} == {
        organization.public_id: not wanted,
        other_organization.public_id: wanted,
    }
    assert [o["organization_slug"] for o in answer["organizations"]] == ["acme", "other"]
