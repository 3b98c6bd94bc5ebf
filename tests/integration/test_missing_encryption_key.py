"""While an encryption key is missing: calls that need it say so, and can be made again."""

from typing import Any

from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from tests.factories import PUBLIC_URL, answer, completed_run, run, workflow

OTHER_KEYS = ["QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="]
SECRET_URL = PUBLIC_URL + "?token=url-canary"


def refuse(response: Any) -> None:
    assert (response.status_code, response["Retry-After"]) == (503, "300")
    assert response.json()["code"] == "secret_undecryptable"


def test_a_remembered_answer_waits_for_the_key(api: APIClient, settings: Settings) -> None:
    call = {"name": "Hook", "url": PUBLIC_URL, "events": ["*"]}
    keys = settings.ENCRYPTION_KEYS
    first = api.post("/v1/webhooks", call, HTTP_IDEMPOTENCY_KEY="one")

    settings.ENCRYPTION_KEYS = OTHER_KEYS
    refuse(api.post("/v1/webhooks", call, HTTP_IDEMPOTENCY_KEY="one"))
    settings.ENCRYPTION_KEYS = keys

    assert api.post("/v1/webhooks", call, HTTP_IDEMPOTENCY_KEY="one").content == first.content
    assert answer(api.get("/v1/webhooks"))["total"] == 1


def test_a_repeated_external_id_waits_for_the_key(api: APIClient, settings: Settings) -> None:
    values = {"workflow_id": workflow(api)["id"], "external_id": "one", "webhook_url": SECRET_URL}
    run(api, **values)

    settings.ENCRYPTION_KEYS = OTHER_KEYS

    refuse(api.post("/v1/runs", values))


def test_a_retry_of_a_webhook_waits_for_the_key(api: APIClient, settings: Settings) -> None:
    made = workflow(api, dialect="skyvern", signature_schemes=["none"])
    ended = completed_run(api, workflow_id=made["id"], webhook_url=SECRET_URL)

    settings.ENCRYPTION_KEYS = OTHER_KEYS

    refuse(api.post(f"/skyvern/v1/runs/{ended['id']}/retry_webhook"))
