"""eachlabs (seed 004): executions and webhooks as their callers and receivers knew them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from delivery.deliver import Again
from delivery.models import Delivery
from tests.factories import Json, answer, events_of, workflow
from tests.integration.conftest import CollectedWakeUps
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_leap import compact, golden
from tests.receiver import Receiver

API = "/eachlabs/api/v1"
STEP_FAILS = "Model timeout after 30s"


def make_workflow(api: APIClient, **values: Any) -> str:
    made = workflow(api, dialect="eachlabs", **values)
    workflow_id: str = made["id"]
    return workflow_id


def trigger(api: APIClient, workflow_id: str | None = None, **values: Any) -> str:
    """The id of a new execution, of a new workflow unless one is named."""
    path = f"{API}/{workflow_id or make_workflow(api)}/trigger"
    made: Json = answer(api.post(path, {"inputs": {"prompt": "A sunset landscape"}} | values), 202)
    assert list(made) == ["execution_id", "status", "started_at"]
    assert made["status"] == "queued"
    execution_id: str = made["execution_id"]
    return execution_id


def execution(api: APIClient, execution_id: str) -> Json:
    found: Json = answer(api.get(f"{API}/executions/{execution_id}"))
    return found


def run_steps(api: APIClient, execution_id: str, steps: Json) -> None:
    """Report what the example's steps made; `primary` is left to the service."""
    for key, step in steps.items():
        report(api, execution_id, f"steps/{key}/start")
        made = {"output": step["output"], "metadata": step["metadata"]}
        report(api, execution_id, f"steps/{key}/complete", made)


def started(api: APIClient, expected: Json, receiver: Receiver) -> str:
    """The example's execution, triggered and taken up at the example's time."""
    at = expected["started_at"]
    make_workflow(api, id=expected["workflow_id"], created_at=at)
    execution_id = trigger(
        api,
        expected["workflow_id"],
        inputs=expected["inputs"],
        webhook_url=f" {receiver.url()} ",
        id=expected["execution_id"],
        created_at=at,
    )
    report(api, execution_id, "start", {"occurred_at": at})
    return execution_id


def assert_told(expected: Json, api: APIClient, deliver: Deliver) -> None:
    """The webhook, the GET and a replay are the expected bytes."""
    (request,) = deliver()
    assert request.body == compact(expected)
    assert request.headers["Content-Type"] == "application/json"
    assert not [name for name in request.headers if "signature" in name.lower() or "secret" in name.lower()]
    execution_id = expected["execution_id"]
    assert api.get(f"{API}/executions/{execution_id}").content == request.body

    first = events_of(api, execution_id)[-1]["deliveries"][0]
    answer(api.post(f"/v1/deliveries/{first['id']}/replay", {}), 202)
    assert [r.body for r in deliver()] == [request.body] * 2


def test_the_webhook_of_a_completed_execution_is_the_seeds_example(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    expected = golden("eachlabs_success.json")
    execution_id = started(api, expected, receiver)
    run_steps(api, execution_id, expected["step_outputs"])

    report(api, execution_id, "complete")

    assert_told(expected, api, deliver)


@pytest.mark.parametrize(
    "error",
    [
        STEP_FAILS,
        {"message": STEP_FAILS, "step": "generate_image"},
        {"message": f"Step 'generate_image' failed: {STEP_FAILS}", "code": "ExecutionFailed"},
        {"message": "timeout", "cause": f"Step 'generate_image' failed: {STEP_FAILS}"},
    ],
)
def test_the_webhook_of_a_failed_execution_is_the_seeds_example(
    error: Any, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    expected = golden("eachlabs_failure.json")
    execution_id = started(api, expected, receiver)
    report(api, execution_id, "steps/generate_image/start")
    report(api, execution_id, "steps/generate_image/fail", {"error": STEP_FAILS})

    report(api, execution_id, "fail", {"error": error})

    assert_told(expected, api, deliver)


def test_the_webhook_of_a_bulk_execution_is_the_seeds_example_made_whole(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    """The seed's bulk example is abridged: it lacks `started_at`, `inputs` and `step_outputs`, which
    its own receiver reads (`execution["step_outputs"]`). They are taken from its success example."""
    abridged, whole = golden("eachlabs_bulk.json"), golden("eachlabs_success.json")
    order = [*("execution_id", "workflow_id", "bulk_id", "status"), *list(whole)[3:]]
    expected = {key: abridged.get(key, whole.get(key)) for key in order}
    at = whole["started_at"]
    make_workflow(api, id=expected["workflow_id"], created_at=at)

    said = {
        "inputs": [whole["inputs"]],
        "webhook_url": receiver.url(),
        "bulk_id": expected["bulk_id"],
        "ids": [expected["execution_id"]],
        "created_at": at,
    }
    made = answer(api.post(f"{API}/{expected['workflow_id']}/bulk-trigger", said), 202)
    report(api, "exec-1", "start", {"occurred_at": at})
    run_steps(api, "exec-1", whole["step_outputs"])
    report(api, "exec-1", "complete")

    assert made == {
        "bulk_id": expected["bulk_id"],
        "executions": [{"execution_id": "exec-1", "status": "queued", "started_at": at}],
    }
    assert_told(expected, api, deliver)


def test_retries_come_after_30_120_and_600_seconds(
    api: APIClient,
    receiver: Receiver,
    attempt: Callable[..., Again | None],
    wake_ups: CollectedWakeUps,
) -> None:
    receiver.reply(500)
    execution_id = trigger(api, webhook_url=receiver.url())
    report(api, execution_id, "start")
    report(api, execution_id, "complete", {"output": 1})
    (wake_up,) = wake_ups
    rows = Delivery.objects.filter(id=wake_up.delivery_id)

    waits = []
    for number in range(1, 5):
        attempt(wake_up.delivery_id, number)
        row = rows.get()
        last = row.attempt_log.order_by("id").last()
        assert last is not None
        waits.append(row.next_attempt_at and (row.next_attempt_at - last.created_at).total_seconds())
        rows.filter(finished_at=None).update(next_attempt_at=Now() - timedelta(seconds=1))

    assert waits == [30.0, 120.0, 600.0, None]
    assert (rows.get().state, len({r.body for r in receiver.requests})) == ("exhausted", 1)
    assert rows.get().callback["timeout_seconds"] == 10.0  # type: ignore[index]


def test_a_secret_is_sent_along_and_nowhere_shown(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    execution_id = trigger(api, webhook_url=receiver.url(), webhook_secret="s3cret value")
    report(api, execution_id, "start")
    report(api, execution_id, "complete")

    (request,) = deliver()

    assert request.headers["X-Webhook-Secret"] == "s3cret value"
    for path in (f"/v1/runs/{execution_id}/webhooks", f"/eachlabs/v1/webhooks/{execution_id}"):
        assert b"s3cret" not in api.get(path).content
