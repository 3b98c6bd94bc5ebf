"""What Skyvern's API refuses, with Skyvern's statuses: 400, 404, 422."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from runs.models import Run
from subscriptions import services as subscriptions_services
from subscriptions.models import ApiKey, Organization
from tests.factories import answer, places_taken, refusal
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_skyvern import Caller, caller_of, make_workflow
from tests.integration.dialects.test_skyvern_delivery import ended_task, validate_skyvern_request_headers
from tests.integration.dialects.test_skyvern_retry_webhook import retry, told
from tests.receiver import Receiver


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return caller_of(organization)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("tasks", {}, "prompt"),
        ("tasks", {"prompt": 5}, "prompt"),
        ("tasks", {"prompt": "a\x00"}, "prompt"),
        ("tasks", {"prompt": "a", "engine": "gpt"}, "engine"),
        ("tasks", {"prompt": "a", "max_steps": "many"}, "max_steps"),
        ("tasks", [], None),
        ("workflows", {"parameters": {}}, "workflow_id"),
        ("agents", {"agent_id": "a", "parameters": []}, "parameters"),
    ],
)
def test_what_is_malformed_is_a_422(path: str, body: Any, field: str | None, caller: Caller) -> None:
    refused = caller.api.post(f"/skyvern/v1/run/{path}", body)

    assert refused.status_code == 422, refused.content
    assert refused.json()["field"] == field
    assert Run.objects.count() == 0


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "https://localhost.internal/", "ftp://example.com/"])
def test_a_blocked_target_is_a_400_with_a_hint(url: str, caller: Caller) -> None:
    refused = refusal(
        caller.api.post("/skyvern/v1/run/tasks", {"prompt": "a", "webhook_url": url}),
        400,
        "url_not_allowed",
        "webhook_url",
    )

    assert "WEBHOOK_ALLOWED_NETWORKS" in refused["detail"]
    assert Run.objects.count() == 0


def test_a_run_that_tells_someone_needs_a_key_that_signs(organization: Organization) -> None:
    mute = caller_of(organization, signs=False)
    url = "https://hooks.example.com/in"
    told = make_workflow(mute.api, webhook_url=url)
    unsigned = make_workflow(mute.api, webhook_url=url, signature_schemes=["standard_webhooks"])

    task = mute.api.post("/skyvern/v1/run/tasks", {"prompt": "a", "webhook_url": url})
    run = mute.api.post("/skyvern/v1/run/workflows", {"workflow_id": told["id"]})

    assert "signs" in refusal(task, 400, "no_signing_key", "webhook_url")["detail"]
    refusal(run, 400, "no_signing_key", "webhook_url")
    assert mute.run_task(webhook_url=" ")["status"] == "queued"
    answer(mute.api.post("/skyvern/v1/run/workflows", {"workflow_id": unsigned["id"]}))


def test_runs_of_others_and_of_other_dialects_do_not_exist(
    caller: Caller, other_organization: Organization
) -> None:
    run_id = caller.run_task()["run_id"]
    native = answer(caller.api.post("/v1/workflows", {"name": "Native", "slug": "native"}), 201)
    other = caller_of(other_organization)
    paths = [f"/skyvern/v1/runs/{run_id}{tail}" for tail in ("", "/cancel", "/retry_webhook")]

    for path in paths:
        asked = other.api.get(path) if path == paths[0] else other.api.post(path)
        refusal(asked, 404, "not_found")
    refusal(caller.api.post("/skyvern/v1/run/workflows", {"workflow_id": native["id"]}), 404, "not_found")
    refusal(
        other.api.post("/skyvern/v1/run/tasks", {"prompt": "a", "workflow_run_id": run_id}), 404, "not_found"
    )
    assert caller.get(run_id)["status"] == "queued"
    assert APIClient().get(paths[0]).status_code == 401


def test_what_it_cannot_do_is_a_400_that_sends_nothing(caller: Caller) -> None:
    queued = caller.run_task()["run_id"]
    ended = caller.run_task()["run_id"]
    report(caller.api, ended, "cancel")

    unended = refusal(retry(caller, queued), 400, "not_ended")
    nowhere = refusal(retry(caller, ended), 400, "no_url")
    blocked = refusal(
        retry(caller, ended, {"webhook_url": "https://10.0.0.1/"}), 400, "url_not_allowed", "webhook_url"
    )
    refusal(retry(caller, ended, {"webhook_url": 5}), 422, "invalid", "webhook_url")
    refusal(retry(caller, "tsk_1"), 404, "not_found")

    assert unended["detail"] == f"Run {queued} has not reached a terminal state (status=queued)."
    assert nowhere["detail"] == "No webhook URL configured for the run."
    assert "WEBHOOK_ALLOWED_NETWORKS" in blocked["detail"]
    assert Delivery.objects.count() == 0


@pytest.mark.usefixtures("worker")
def test_a_name_that_only_the_attempt_finds_unknown_is_a_400_and_on_record(caller: Caller) -> None:
    run_id = caller.run_task()["run_id"]
    report(caller.api, run_id, "cancel")

    refusal(
        retry(caller, run_id, {"webhook_url": "https://nowhere.invalid/"}),
        400,
        "url_not_allowed",
        "webhook_url",
    )

    assert Attempt.objects.count() == 1


@pytest.mark.usefixtures("worker")
def test_after_a_rotation_the_callers_key_signs_and_without_any_it_is_a_400(
    caller: Caller, organization: Organization, receiver: Receiver
) -> None:
    run_id = ended_task(caller, receiver.url())
    receiver.wait_for(1)
    renewed, mute = caller_of(organization), caller_of(organization, signs=False)

    told(mute, run_id)
    subscriptions_services.api_key_revoke(ApiKey.objects.order_by("id")[0])
    told(renewed, run_id)
    refusal(retry(mute, run_id), 400, "no_signing_key")

    _, by_mute, by_renewed = receiver.at()
    assert validate_skyvern_request_headers(by_mute, caller.key)
    assert validate_skyvern_request_headers(by_renewed, renewed.key)
    assert by_mute.body == by_renewed.body


def test_more_waiting_calls_than_there_are_places_are_a_429(
    caller: Caller, organization: Organization, receiver: Receiver, settings: Settings
) -> None:
    run_id = ended_task(caller, receiver.url())

    with places_taken(organization, settings.DELIVERY_WAITS_MAX // 2):
        refused = retry(caller, run_id)

    refusal(refused, 429, "too_many_waiting")
    assert Delivery.objects.count() == 1
