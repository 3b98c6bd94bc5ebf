"""Custom headers of a workflow: written, never read back, sent with the callbacks of its runs."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery
from runs.models import WorkflowVersion
from tests.factories import Json, answer, completed_run, refusal, report, row_counts, started_run, workflow
from tests.receiver import Receiver, Reply

Attempting = Callable[..., Any]
HEADERS = {"X-Team": "header-canary", "Authorization": "Bearer header-canary"}


def patch(api: APIClient, id_: str, **values: Any) -> Json:
    found: Json = answer(api.patch(f"/v1/workflows/{id_}", values))
    return found


def test_only_the_names_are_read_back(api: APIClient, admin_client: Client) -> None:
    made = workflow(api, headers=HEADERS)

    pages: list[Any] = [api.get(f"/v1/workflows/{made['id']}"), api.get("/v1/workflows")]
    version = WorkflowVersion.objects.get()
    shown = admin_client.get(f"/admin/runs/workflowversion/{version.pk}/change/")

    assert made["headers"] == answer(pages[0])["headers"] == ["Authorization", "X-Team"]
    assert b"X-Team" in shown.content
    for page in (*pages, shown):
        assert b"header-canary" not in page.content
        assert version.encrypted_headers.encode() not in page.content
    assert "header-canary" not in str(WorkflowVersion.objects.values())


def test_they_are_sent_with_callbacks_and_masked_on_record(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(
        Reply(500, headers={"X-Echo": "header-canary"}, body=b"Bearer header-canary, header-canary")
    )
    made = workflow(api, headers=HEADERS, webhook_url=receiver.url())
    completed_run(api, workflow_id=made["id"])

    attempt(Delivery.objects.get())

    (request,) = receiver.at()
    assert {name: request.headers[name] for name in HEADERS} == HEADERS
    assert request.headers["Content-Type"] == "application/json"
    logged = Attempt.objects.get()
    assert {logged.request_headers[name] for name in HEADERS} == {"***"}
    assert (logged.response_body, logged.response_headers["X-Echo"]) == ("***, ***", "***")
    assert "header-canary" not in str(Delivery.objects.values("callback"))


def test_a_change_publishes_a_version_and_runs_keep_the_one_they_were_made_with(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, headers={"X-Team": "one"}, webhook_url=receiver.url())
    running = started_run(api, workflow_id=made["id"])["id"]

    changed = patch(api, made["id"], headers={"X-Team": "two"})
    report(api, running, "complete")
    completed_run(api, workflow_id=made["id"])
    for delivery in Delivery.objects.order_by("id"):
        attempt(delivery)

    assert {name for name in changed if changed[name] != made[name]} == {"version_id", "updated_at"}
    assert [request.headers["X-Team"] for request in receiver.at()] == ["one", "two"]


def test_the_same_headers_again_and_changes_of_other_fields_leave_them(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, headers=HEADERS, webhook_url=receiver.url())

    same = patch(api, made["id"], headers=HEADERS, name="Dogs")
    other = patch(api, made["id"], timeout_seconds=3.0)
    completed_run(api, workflow_id=made["id"])
    attempt(Delivery.objects.get())

    assert same["version_id"] == made["version_id"] != other["version_id"]
    assert other["headers"] == made["headers"]
    assert receiver.at()[0].headers["X-Team"] == "header-canary"


@pytest.mark.parametrize("nothing", [None, {}])
def test_null_and_an_empty_object_clear_them(
    nothing: Any, api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, headers=HEADERS, webhook_url=receiver.url())

    cleared = patch(api, made["id"], headers=nothing)
    completed_run(api, workflow_id=made["id"])
    attempt(Delivery.objects.get())

    assert (cleared["headers"], WorkflowVersion.objects.order_by("-id")[0].encrypted_headers) == ([], "")
    assert "X-Team" not in receiver.at()[0].headers
    assert workflow(api, headers=nothing)["headers"] == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "x"}, "reserved_header"),
        ({"x-skyvern-signature": "x"}, "reserved_header"),
        ({"Webhook-Id": "x"}, "reserved_header"),
        ({"a b": "x"}, "bad_header"),
        ({"X-A": "a\r\nX-Evil: 1"}, "bad_header"),
        ({"X-A": "1", "x-a": "2"}, "duplicate"),
    ],
)
def test_the_rules_are_those_of_subscriptions(headers: Json, code: str, api: APIClient) -> None:
    made = workflow(api)
    before = row_counts()

    refusal(api.post("/v1/workflows", {"name": "x", "headers": headers}), 422, code, "headers")
    refusal(api.patch(f"/v1/workflows/{made['id']}", {"headers": headers}), 422, code, "headers")

    assert row_counts() == before


@pytest.mark.parametrize("headers", [{"X-A": 5}, [], "X-A: 5"], ids=str)
def test_what_is_no_map_of_texts_is_refused(headers: Any, api: APIClient) -> None:
    refused = answer(api.post("/v1/workflows", {"name": "x", "headers": headers}), 422)

    assert refused["field"].startswith("headers")


def test_headers_whose_key_is_gone_can_be_replaced(api: APIClient, settings: Settings) -> None:
    made = workflow(api, headers=HEADERS)
    settings.ENCRYPTION_KEYS = ["QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="]

    assert patch(api, made["id"], name="Dogs")["headers"] == made["headers"]
    assert patch(api, made["id"], headers={"X-New": "1"})["headers"] == ["X-New"]


def test_a_callback_from_before_workflows_had_headers_is_sent(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    completed_run(api, webhook_url=receiver.url())
    delivery = Delivery.objects.get()
    assert delivery.callback is not None
    del delivery.callback["encrypted_headers"]
    delivery.save(update_fields=["callback"])

    attempt(delivery)

    assert len(receiver.at()) == 1


def test_code_that_does_not_know_them_still_makes_versions(api: APIClient) -> None:
    made = workflow(api, headers=HEADERS)
    old = "workflow_id, webhook_url, payload_format, signature_schemes, retry_policy, timeout_seconds"
    copied = (
        f"INSERT INTO runs_workflowversion ({old}, public_id) SELECT {old}, 'old' FROM runs_workflowversion"
    )

    with connection.cursor() as cursor:
        cursor.execute(copied)

    version = WorkflowVersion.objects.get(public_id="old")
    assert (version.encrypted_headers, version.header_names) == ("", [])
    assert made["headers"] != []
