"""What a workflow's owner set to be written only goes to no URL that somebody else names."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from delivery.models import Delivery
from runs.models import Run
from runs.resend import resend_callback
from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.factories import Json, answer, completed_run, workflow
from tests.integration.dialects.conftest import report
from tests.integration.dialects.test_skyvern import Caller, caller_of
from tests.receiver import Receiver

Attempting = Callable[..., Any]
HEADERS = {"X-Team": "header-canary"}


@pytest.fixture
def elsewhere() -> Iterator[Receiver]:
    """On another port: another origin."""
    with Receiver() as found:
        yield found


def test_headers_go_to_no_origin_but_the_workflows(
    api: APIClient, receiver: Receiver, elsewhere: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, headers=HEADERS, webhook_url=receiver.url())
    for url in (receiver.url("/other"), elsewhere.url()):
        completed_run(api, workflow_id=made["id"], webhook_url=url)

    for delivery in Delivery.objects.order_by("id"):
        attempt(delivery)

    assert receiver.at("/other")[0].headers["X-Team"] == "header-canary"
    assert "header-canary" not in str(elsewhere.at()[0].headers.items())


def test_without_a_url_of_the_workflow_they_go_with_each_callback(
    api: APIClient, elsewhere: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, headers=HEADERS)
    completed_run(api, workflow_id=made["id"], webhook_url=elsewhere.url())

    attempt(Delivery.objects.get())

    assert elsewhere.at()[0].headers["X-Team"] == "header-canary"


def ended_agent(caller: Caller, made: Json, **values: Any) -> str:
    asked = {"agent_id": made["id"], **values}
    run_id: str = answer(caller.api.post("/skyvern/v1/run/agents", asked))["run_id"]
    report(caller.api, run_id, "cancel")
    return run_id


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("of_workflow", [True, False])
def test_a_retry_to_another_url_takes_no_headers_there(
    of_workflow: bool, organization: Organization, receiver: Receiver, elsewhere: Receiver
) -> None:
    caller = caller_of(organization)
    own = {"webhook_url": receiver.url()}
    made = workflow(caller.api, dialect="skyvern", headers=HEADERS, **(own if of_workflow else {}))
    run_id = ended_agent(caller, made, **({} if of_workflow else own))
    path = f"/skyvern/v1/runs/{run_id}/retry_webhook"

    for body in ({}, {"webhook_url": elsewhere.url()}):
        answer(caller.api.post(path, body))

    assert {request.headers["X-Team"] for request in receiver.wait_for(2)} == {"header-canary"}
    assert "header-canary" not in str(elsewhere.at()[0].headers.items())


def test_a_runs_own_secret_goes_to_no_other_origin_than_the_runs(
    api: APIClient, receiver: Receiver, elsewhere: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, dialect="eachlabs", webhook_url=elsewhere.url())
    asked = {"inputs": {}, "webhook_url": receiver.url(), "webhook_secret": "s3cret value"}
    run_id = answer(api.post(f"/eachlabs/api/v1/{made['id']}/trigger", asked), 202)["execution_id"]
    for move in ("start", "complete"):
        report(api, run_id, move)
    run = Run.objects.get(public_id=run_id)

    attempt(Delivery.objects.get())
    attempt(resend_callback(run, url=elsewhere.url(), timeout_seconds=5.0))

    assert receiver.at()[0].headers["X-Webhook-Secret"] == "s3cret value"
    assert "s3cret" not in str(elsewhere.at()[0].headers.items())


@pytest.mark.usefixtures("worker")
def test_a_key_that_may_only_replay_learns_neither_the_url_nor_the_payload(
    organization: Organization, receiver: Receiver
) -> None:
    caller = caller_of(organization)
    made = workflow(caller.api, dialect="skyvern", webhook_url=receiver.url("/hook?token=url-canary"))
    path = f"/skyvern/v1/runs/{ended_agent(caller, made)}/retry_webhook"
    only_replays = APIClient()
    _, key = services.api_key_create(organization=organization, scopes=[Scope.DELIVERIES_REPLAY], signs=True)
    only_replays.credentials(HTTP_X_API_KEY=key)

    seen, hidden = answer(caller.api.post(path)), answer(only_replays.post(path))

    shown = receiver.url("/hook?token=***")
    assert seen["default_webhook_url"] == receiver.url("/hook?token=url-canary")
    assert "run_id" in seen["payload"]
    assert (hidden["default_webhook_url"], hidden["target_webhook_url"]) == (shown, shown)
    assert (hidden["payload"], hidden["status_code"]) == (None, 204)
    assert len(receiver.wait_for(3, "/hook?token=url-canary")) == 3
