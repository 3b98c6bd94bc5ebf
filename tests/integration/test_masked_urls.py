"""URLs with a query: kept encrypted, sent as registered, shown to their owner, masked for everyone else."""

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import IntegrityError
from django.test import Client
from rest_framework.test import APIClient

from delivery.models import Attempt, Delivery, EventBody
from delivery.queue import WakeUp
from runs.models import Run, WorkflowVersion
from subscriptions import services
from subscriptions.models import Notice, Organization, Scope, Subscription
from tests.factories import answer, completed_run, logs, refusal, run, webhook, workflow
from tests.integration.conftest import CollectedWakeUps, client_for
from tests.receiver import Receiver, Reply

Attempting = Callable[..., Any]
TOKEN = "canary-of-a-query-0123456789"


@pytest.fixture
def url(receiver: Receiver) -> str:
    return receiver.url(f"/hook?token={TOKEN}&v=2")


def shown(url: str) -> str:
    return url.partition("?")[0] + "?token=***&v=***"


def test_the_owner_reads_the_whole_url_and_the_row_does_not_hold_it(api: APIClient, url: str) -> None:
    made = webhook(api, url=url)

    row = Subscription.objects.get()
    assert made["url"] == answer(api.get(f"/v1/webhooks/{made['id']}"))["url"] == url
    assert answer(api.get("/v1/webhooks"))["webhooks"][0]["url"] == url
    assert answer(api.get("/v1/webhooks?limit=5"))["webhooks"][0]["url"] == url
    assert (row.url, row.full_url) == (shown(url), url)
    assert TOKEN not in row.encrypted_url


def test_a_key_that_may_not_read_subscriptions_is_answered_with_the_masked_url(
    organization: Organization, api: APIClient, url: str
) -> None:
    made = webhook(api, url=url)
    writer = client_for(organization, [Scope.WEBHOOKS_WRITE])

    assert answer(writer.patch(f"/v1/webhooks/{made['id']}", {"name": "New"}))["url"] == shown(url)


def test_a_person_at_the_browsable_api_sees_the_masked_url(
    admin_client: Client, api: APIClient, url: str
) -> None:
    made = webhook(api, url=url)
    completed_run(api, webhook_url=url, workflow_id=workflow(api, webhook_url=url)["id"])

    for path in (f"/v1/webhooks/{made['id']}", "/v1/webhooks", "/v1/workflows", "/v1/runs"):
        page = admin_client.get(path, headers={"Accept": "text/html"}).content.decode()
        assert "token=" in page
        assert TOKEN not in page


def test_the_request_goes_to_the_whole_url_and_the_log_shows_the_masked_one(
    api: APIClient, url: str, receiver: Receiver, attempt: Attempting
) -> None:
    webhook(api, url=url)
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})

    attempt(Delivery.objects.get())

    assert [request.path for request in receiver.requests] == [f"/hook?token={TOKEN}&v=2"]
    assert Delivery.objects.get().url == Attempt.objects.get().url == logs(api)[0]["url"] == shown(url)


def test_a_callback_is_sent_to_the_whole_url_of_its_run_or_workflow(
    api: APIClient, url: str, receiver: Receiver, attempt: Attempting
) -> None:
    made = workflow(api, webhook_url=f"{url}&from=workflow")
    own = completed_run(api, workflow_id=made["id"], webhook_url=url)
    default = completed_run(api, workflow_id=made["id"])

    for delivery in Delivery.objects.order_by("id"):
        attempt(delivery)

    assert [request.path.partition("v=2")[2] for request in receiver.requests] == ["", "&from=workflow"]
    assert (made["webhook_url"], own["webhook_url"], default["webhook_url"]) == (
        f"{url}&from=workflow",
        url,
        "",
    )
    rows = str([*Run.objects.values(), *WorkflowVersion.objects.values(), *Delivery.objects.values()])
    assert "token=***" in rows
    assert TOKEN not in rows + str(list(Attempt.objects.values()))


def test_the_same_url_again_makes_no_new_version_of_a_workflow(api: APIClient, url: str) -> None:
    made = workflow(api, webhook_url=url)

    same = answer(api.patch(f"/v1/workflows/{made['id']}", {"webhook_url": f" {url} "}))
    other = answer(api.patch(f"/v1/workflows/{made['id']}", {"webhook_url": f"{url}3"}))

    assert same["version_id"] == made["version_id"] != other["version_id"]
    assert other["webhook_url"] == f"{url}3"


def test_the_same_external_id_with_another_token_is_another_call(api: APIClient, url: str) -> None:
    values = {"workflow_id": workflow(api)["id"], "external_id": "x-1"}
    first = run(api, **values, webhook_url=url)

    again = answer(api.post("/v1/runs", values | {"webhook_url": url}), 200)
    other = api.post("/v1/runs", values | {"webhook_url": f"{url}3"})

    assert again["id"] == first["id"]
    refusal(other, 409, "external_id_taken", "external_id")


@pytest.mark.parametrize("field", ["token=***", "***"])
def test_a_masked_url_that_comes_back_is_refused(api: APIClient, field: str) -> None:
    values = {"name": "Hook", "events": ["*"], "url": f"https://hooks.example.com/in?{field}"}

    refusal(api.post("/v1/webhooks", values), 422, "masked", "url")
    refusal(
        api.post("/v1/runs", {"workflow_id": workflow(api)["id"], "webhook_url": values["url"]}),
        *(422, "masked", "webhook_url"),
    )


def test_rows_from_before_hold_their_url_as_it_is_and_go_on(
    api: APIClient, url: str, receiver: Receiver, attempt: Attempting
) -> None:
    made = webhook(api, url=url)
    Subscription.objects.update(url=url, encrypted_url="")
    completed_run(api, webhook_url=url)
    for delivery in Delivery.objects.filter(callback__isnull=False):
        assert delivery.callback is not None
        row = {name: v for name, v in delivery.callback.items() if name not in ("encrypted_url", "target")}
        row["url"] = url
        Delivery.objects.filter(pk=delivery.pk).update(callback=row)

    for delivery in Delivery.objects.all():
        attempt(delivery)

    assert {request.path for request in receiver.requests} == {f"/hook?token={TOKEN}&v=2"}
    assert answer(api.get(f"/v1/webhooks/{made['id']}"))["url"] == url
    assert not Attempt.objects.filter(url__contains=TOKEN).exists()


def test_two_callbacks_of_one_event_that_differ_in_a_token_are_two_targets(
    api: APIClient, organization: Organization, url: str
) -> None:
    completed_run(api, webhook_url=url)
    first = Delivery.objects.get()
    other = Delivery.objects.create(
        **{name: getattr(first, name) for name in ("organization", "event", "body", "url", "webhook_id")},
        callback={**(first.callback or {}), "target": "another"},
    )
    Delivery.objects.filter(pk=first.pk).update(state="exhausted", finished_at=first.created_at)

    # The other one is still open: of the same target that would be a reason not to replay.
    replayed = answer(api.post(f"/v1/deliveries/{first.pk}/replay"), 202)

    assert other.state == "pending"
    assert Delivery.objects.get(pk=replayed["id"]).callback == first.callback


def test_the_event_and_the_mail_of_a_disabled_subscription_show_the_masked_url(
    api: APIClient, url: str, receiver: Receiver, attempt: Attempting
) -> None:
    receiver.reply(410, path=f"/hook?token={TOKEN}&v=2")
    webhook(api, url=url)
    webhook(api, url=receiver.url("/told"), events=["subscription.disabled"])
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})

    attempt(Delivery.objects.get())

    told = bytes(EventBody.objects.get(event__type="subscription.disabled").body).decode()
    assert shown(url) in told
    assert shown(url) in Notice.objects.get().text
    assert TOKEN not in told + Notice.objects.get().text


def test_messages_to_workers_name_ids_only(api: APIClient, url: str, wake_ups: CollectedWakeUps) -> None:
    webhook(api, url=url)
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})

    (message,) = wake_ups

    assert message == WakeUp(Delivery.objects.get().pk, 1, message.lane)


def test_the_admin_shows_lists_searches_and_changes_without_the_query(
    api: APIClient, url: str, admin_client: Client, attempt: Attempting
) -> None:
    made = webhook(api, url=url, headers={"X-Own": "canary-of-a-header"})
    completed_run(
        api, webhook_url=url, workflow_id=workflow(api, webhook_url=url, headers={"X-A": "hush"})["id"]
    )
    for delivery in Delivery.objects.all():
        attempt(delivery)
    callback = Delivery.objects.get(callback__isnull=False)
    # These lists have a column for the receiver alone.
    of_receivers = ["/admin/delivery/delivery/", "/admin/delivery/attempt/"]
    of_urls = [
        *("/admin/subscriptions/subscription/", "/admin/runs/workflowversion/"),
        f"/admin/subscriptions/subscription/{made['id']}/change/",
        f"/admin/delivery/delivery/{callback.pk}/change/",
        f"/admin/delivery/attempt/{callback.attempt_log.get().pk}/change/",
        f"/admin/runs/run/{Run.objects.get().pk}/change/",
        f"/admin/runs/workflowversion/{WorkflowVersion.objects.get().pk}/change/",
    ]

    for page in of_receivers + of_urls:
        text = admin_client.get(page).content.decode()
        assert ("token=***" if page in of_urls else urlsplit(url).netloc) in text, page
        assert TOKEN not in text, page
        assert "gAAAA" not in text, f"{page} shows ciphertext"
    found = admin_client.get("/admin/delivery/attempt/", {"q": url[:-5]}).content.decode()
    assert found.count(f'"field-receiver">{urlsplit(url).netloc}<') >= 2


def test_a_subscription_is_saved_in_the_admin_without_touching_its_url(
    api: APIClient, url: str, admin_client: Client
) -> None:
    made = webhook(api, url=url)
    form = {
        "name": "Renamed",
        "url": shown(url),
        "is_active": "on",
        "events": ["*"],
        "custom_events": "",
        "workflow_ids": "",
        "payload_format": "elan_event",
        "signature_schemes": ["standard_webhooks"],
        "retry_policy": "standard",
        "retry_schedule": "",
        "timeout_seconds": "",
        "secret": "",
        "headers": "",
    }
    path = f"/admin/subscriptions/subscription/{made['id']}/change/"

    admin_client.post(path, form)
    saved = answer(api.get(f"/v1/webhooks/{made['id']}"))
    refused = admin_client.post(path, form | {"url": shown(url) + "&x=1"}).content.decode()
    bad = {"retry_schedule": "x", "secret": "canary-of-a-form", "headers": '{"X-A": "canary-of-a-form"}'}
    failed = admin_client.post(path, form | bad).content.decode()

    assert (saved["name"], saved["url"]) == ("Renamed", url)
    assert "was copied from where its values are masked" in refused
    assert "errornote" in failed
    assert "canary-of-a-form" not in failed


def test_an_error_of_the_database_does_not_quote_the_row(organization: Organization) -> None:
    with pytest.raises(IntegrityError) as failed:
        Subscription.objects.create(organization=organization, name="n", url=f"https://x/{TOKEN}", events=[])

    assert "subscription_has_events" in str(failed.value)
    assert TOKEN not in str(failed.value) + str(failed.value.__cause__)


def test_a_fault_in_a_view_that_holds_secrets_logs_where_and_not_what(
    api: APIClient, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**values: Any) -> None:
        secret = values["values"]["secret"]
        raise RuntimeError(f"broken with {len(secret)} characters")

    monkeypatch.setattr(services, "subscription_create", broken)
    api.raise_request_exception = False

    body = {"name": "Hook", "url": url, "events": ["*"], "secret": TOKEN, "headers": {"X-A": TOKEN}}
    failed = api.post("/v1/webhooks", body)

    formatted = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert failed.status_code == 500
    assert "broken with" in formatted
    assert TOKEN not in formatted + failed.content.decode()


def test_a_header_that_is_echoed_up_to_the_cap_is_masked_in_its_cut_half(
    api: APIClient, receiver: Receiver, attempt: Attempting
) -> None:
    secret = "canary-cut-in-half-0123456789"
    path = f"/hook?token={TOKEN}"
    body = b"x" * (2048 - 15) + secret.encode() + b"y" * 5000
    echo = {"X-Echo": "x" * (512 - 12) + TOKEN, "Location": f"https://elsewhere.example/?session={secret}"}
    receiver.reply(Reply(500, headers=echo, body=body), path=path)
    webhook(api, url=receiver.url(path), headers={"X-Own": secret})
    api.post("/v1/events", {"event_type": "order.paid", "data": {}})

    attempt(Delivery.objects.get())

    row = Attempt.objects.get()
    assert row.response_body == "x" * (2048 - 15) + "***"
    assert row.response_headers["X-Echo"] == "x" * (512 - 12) + "***"
    assert row.response_headers["Location"] == "https://elsewhere.example/?session=***"
