"""A call with an Idempotency-Key is carried out once, whatever becomes of it."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event as Flag
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery.queue import WakeUp
from delivery.tasks import forget_answers
from runs.models import Run
from subscriptions import idempotency, services
from subscriptions.idempotency import RememberedAnswer
from subscriptions.models import Organization, Scope, Subscription
from tests.factories import PUBLIC_URL, Json, answer, at_once, deliveries, refusal, row_counts, workflow
from tests.integration.conftest import client_for
from tests.integration.test_queries import statements
from tests.receiver import Receiver

WEBHOOK = {"name": "Hook", "url": PUBLIC_URL, "events": ["*"]}
EVENT = {"event_type": "order.paid", "data": {"number": 1}}


def post(api: APIClient, path: str, body: Json, key: str = "k-1", **headers: Any) -> Any:
    return api.post(path, body, HTTP_IDEMPOTENCY_KEY=key, **headers)


def total(api: APIClient) -> int:
    found: int = answer(api.get("/v1/webhooks"))["total"]
    return found


@pytest.mark.parametrize(
    "key",
    ["", " ", "a b", "é", "x" * 256, "tab\there"],
    ids=["none", "blank", "two", "accent", "long", "tab"],
)
def test_a_key_that_is_none_is_refused_by_name(api: APIClient, key: str) -> None:
    refusal(post(api, "/v1/webhooks", WEBHOOK, key), 422, "bad_idempotency_key", "Idempotency-Key")

    assert total(api) == 0


def test_another_spelling_of_the_same_values_is_the_same_call(api: APIClient) -> None:
    first = answer(post(api, "/v1/webhooks", WEBHOOK), 201)
    turned = dict(reversed(WEBHOOK.items()))

    assert answer(post(api, "/v1/webhooks", turned), 201) == first


def test_a_refused_call_is_not_remembered(api: APIClient) -> None:
    refusal(post(api, "/v1/webhooks", WEBHOOK | {"url": "ftp://x"}), 422, "url_not_allowed", "url")

    answer(post(api, "/v1/webhooks", WEBHOOK), 201)

    assert total(api) == 1


def test_what_a_call_did_before_it_failed_is_undone(
    api: APIClient, organization: Organization, monkeypatch: pytest.MonkeyPatch, wake_ups: list[WakeUp]
) -> None:
    answer(api.post("/v1/webhooks", WEBHOOK), 201)
    before = row_counts()
    api.raise_request_exception = False

    with monkeypatch.context() as patched:
        patched.setattr("subscriptions.secrets.encrypt", lambda plain: 1 / 0)
        assert post(api, "/v1/events", EVENT).status_code == 500

    assert row_counts() == before
    assert wake_ups == []
    answer(post(api, "/v1/events", EVENT), 202)
    assert (len(deliveries(api)), len(wake_ups)) == (1, 1)


def test_a_call_again_wakes_nobody_up(api: APIClient, wake_ups: list[WakeUp]) -> None:
    answer(api.post("/v1/webhooks", WEBHOOK), 201)

    for _ in range(3):
        answer(post(api, "/v1/events", EVENT), 202)

    assert len(wake_ups) == 1


def test_of_many_at_once_one_is_carried_out(organization: Organization) -> None:
    _, key = services.api_key_create(organization=organization, scopes=Scope.values)

    for round_ in range(5):
        found = at_once(*[partial(post_as, key, WEBHOOK, f"k-{round_}")] * 6)

        made = {response.content for response in found if response.status_code == 201}
        assert len(made) == 1
        for response in found:
            if response.status_code != 201:
                refusal(response, 409, "idempotency_key_in_use", "Idempotency-Key")
                assert response["Retry-After"] == "1"
    assert Subscription.objects.count() == 5


def post_as(key: str, body: Json, idempotency_key: str) -> Any:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return post(client, "/v1/webhooks", body, idempotency_key)


def test_while_the_first_is_at_work_a_second_is_told_so(
    api: APIClient, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = services.api_key_create(organization=organization)
    created, told = Flag(), Flag()
    real = services.subscription_create

    def slow(**values: Any) -> Any:
        made = real(**values)
        created.set()
        assert told.wait(10)
        return made

    def second() -> Any:
        assert created.wait(10)
        try:
            return post_as(key, WEBHOOK, "k-1")
        finally:
            told.set()

    with monkeypatch.context() as patched:
        patched.setattr(services, "subscription_create", slow)
        first, refused = at_once(lambda: post_as(key, WEBHOOK, "k-1"), second)

    refusal(refused, 409, "idempotency_key_in_use", "Idempotency-Key")
    again = post_as(key, WEBHOOK, "k-1")
    assert (again.status_code, again.content) == (201, first.content)


def test_a_process_that_dies_in_the_middle_leaves_nothing_and_the_call_can_be_made_again(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = row_counts()
    real = services.subscription_create

    def die(**values: Any) -> Any:
        made = real(**values)
        with connection.cursor() as cursor:
            # What PostgreSQL sees of a process that is killed: its connection is gone.
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return made

    with monkeypatch.context() as patched:
        patched.setattr(services, "subscription_create", die)
        refused = post(api, "/v1/webhooks", WEBHOOK)
    connection.close()

    assert refused.status_code == 503
    assert row_counts() == before
    answer(post(api, "/v1/webhooks", WEBHOOK), 201)
    assert total(api) == 1


def test_keys_organizations_and_paths_do_not_share_what_they_remember(
    organization: Organization, other_organization: Organization, api: APIClient
) -> None:
    callers = [api, client_for(organization), client_for(other_organization)]
    made = [answer(post(client, "/v1/webhooks", WEBHOOK), 201)["id"] for client in callers]
    acting = post(api, "/v1/webhooks", WEBHOOK, HTTP_X_ORG_ID=other_organization.public_id)
    answer(post(api, "/v1/workflows", {"name": "Hook"}), 201)

    assert len({*made, answer(acting, 201)["id"]}) == 4


def test_a_revoked_key_is_not_told_what_it_was_answered(api: APIClient, organization: Organization) -> None:
    answer(post(api, "/v1/webhooks", WEBHOOK), 201)
    services.api_key_revoke(organization.api_keys.get())

    refusal(post(api, "/v1/webhooks", WEBHOOK), 401, "bad_api_key")


def test_secrets_in_answers_are_encrypted_at_rest(api: APIClient) -> None:
    made = answer(post(api, "/v1/webhooks", WEBHOOK, "quite-secret-key"), 201)

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(r)::text FROM subscriptions_rememberedanswer r")
        ((row,),) = cursor.fetchall()
    for private in (made["signing_secret"], "whsec_", "quite-secret-key", "Hook"):
        assert private not in row
    assert answer(post(api, "/v1/webhooks", WEBHOOK, "quite-secret-key"), 201) == made


def test_after_the_retention_a_key_is_new(api: APIClient, settings: Settings) -> None:
    answer(post(api, "/v1/webhooks", WEBHOOK), 201)
    RememberedAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24, minutes=1))

    again = post(api, "/v1/webhooks", WEBHOOK)

    assert "Idempotency-Replayed" not in again
    assert (again.status_code, total(api), RememberedAnswer.objects.count()) == (201, 2, 1)


def test_beat_has_old_answers_deleted_in_batches(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "FORGET_ROWS", 2)
    for number in range(5):
        answer(post(api, "/v1/workflows", {"name": "Cats"}, f"k-{number}"), 201)
    answer(post(api, "/v1/workflows", {"name": "Cats"}, "young"), 201)
    young = RememberedAnswer.objects.latest("created_at")
    old = timezone.now() - timedelta(hours=25)
    RememberedAnswer.objects.exclude(pk=young.pk).update(created_at=old)

    forget_answers()

    assert RememberedAnswer.objects.get() == young


def test_without_a_key_nothing_is_asked_of_the_database(api: APIClient) -> None:
    made = workflow(api)["id"]

    with CaptureQueriesContext(connection) as without:
        answer(api.post("/v1/runs", {"workflow_id": made}), 201)
    with CaptureQueriesContext(connection) as with_key:
        answer(post(api, "/v1/runs", {"workflow_id": made}), 201)
    with CaptureQueriesContext(connection) as again:
        answer(post(api, "/v1/runs", {"workflow_id": made}), 201)

    remembered = "subscriptions_rememberedanswer"
    assert not [s for s in statements(without) if "SAVEPOINT" in s or remembered in s or s == "SELECT"]
    more = [s for s in statements(with_key) if s not in statements(without)]
    assert more == ["SELECT", f"SELECT {remembered}", f"INSERT {remembered}"]
    assert statements(again)[1:] == ["BEGIN", "SELECT", f"SELECT {remembered}", "COMMIT"]


def test_a_taken_external_id_is_found_inside_the_transaction_as_well(api: APIClient) -> None:
    made = workflow(api)["id"]
    first = answer(api.post("/v1/runs", {"workflow_id": made, "external_id": "job-1"}), 201)

    same = answer(post(api, "/v1/runs", {"workflow_id": made, "external_id": "job-1"}), 200)
    other = post(api, "/v1/runs", {"workflow_id": made, "external_id": "job-1", "input": {"a": 1}}, "k-2")

    assert same["id"] == first["id"]
    refusal(other, 409, "external_id_taken", "external_id")
    assert Run.objects.count() == 1


@pytest.mark.usefixtures("worker")
def test_no_transaction_is_open_while_a_test_event_is_waited_for_and_it_is_sent_once(
    organization: Organization, subscribe: Callable[..., Subscription], receiver: Receiver
) -> None:
    _, key = services.api_key_create(organization=organization)
    path = f"/v1/webhooks/{subscribe().pk}/test"

    def call() -> Json:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        # Under way already, or no place of the organization's is left to wait at.
        ends = 200
        while (response := post(client, path, {})).status_code in (409, 429) and ends:
            ends -= 1
        found: Json = answer(response)
        return found

    # The worker could not claim what is not committed: an answer proves that it was.
    found = at_once(call, call, call)

    assert found[0] == found[1] == found[2]
    assert found[0]["success"] is True
    assert len(receiver.requests) == 1
