"""LEAPERone's error envelope, and who may see which task."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from subscriptions.models import DEFAULT_SCOPES, Organization, Scope
from subscriptions.services import api_key_create
from tests.factories import Json, row_counts, workflow
from tests.integration.conftest import client_for
from tests.integration.dialects.test_leaperone import BODY, PATH, make_task


def error(response: Any, status: int) -> Json:
    """The content of the envelope of a refusal with this status."""
    assert response.status_code == status, response.content
    body: Json = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["message", "type", "code"]
    found: Json = body["error"]
    return found


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "m"}, "prompt: This field is required."),
        ({"prompt": "p"}, "model: This field is required."),
        (BODY | {"prompt": ""}, "prompt: This field may not be blank."),
        (BODY | {"prompt": 1}, "prompt: Not a string."),
        (BODY | {"number": 0}, "number: "),
        (BODY | {"number": 5}, "number: "),
        (BODY | {"referenceImages": [1]}, "referenceImages: "),
        (BODY | {"model": "../v1"}, "model: "),
        (BODY | {"model": "a b"}, "model: "),
        (BODY | {"callbackUrl": "https://10.0.0.1/hook"}, "callbackUrl points to an address"),
        (BODY | {"callbackUrl": "https://meta.internal/hook"}, "callbackUrl "),
        (BODY | {"callbackUrl": "ftp://x.example/"}, "callbackUrl must start with "),
        (BODY | {"webhook_url": "ftp://x.example/"}, "webhook_url must start with "),
        (BODY | {"webhook_url": 1}, "webhook_url: Not a string."),
        (
            BODY | {"webhook_url": "https://x.example/a", "callbackUrl": "https://x.example/b"},
            "callbackUrl: webhook_url is the same field and says something else.",
        ),
        ([], ""),
    ],
)
def test_a_refused_body_is_a_400_and_leaves_nothing_behind(body: Any, message: str, api: APIClient) -> None:
    before = row_counts()

    found = error(api.post(PATH, body), 400)

    assert found["message"].startswith(message)
    assert found["type"] == "invalid_request_error"
    assert row_counts() == before


def test_callbacks_must_use_https(api: APIClient, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_HTTP = False

    found = error(api.post(PATH, BODY | {"callbackUrl": "http://hooks.example.com/"}), 400)

    assert found == {
        "message": "callbackUrl must start with https://",
        "type": "invalid_request_error",
        "code": "url_not_allowed",
    }


def test_broken_json_is_a_400(api: APIClient) -> None:
    found = error(api.post(PATH, "{", content_type="application/json"), 400)

    assert (found["type"], found["code"]) == ("invalid_request_error", "malformed_json")


def test_a_task_of_31_days_is_gone_and_one_of_29_is_not(api: APIClient) -> None:
    now = timezone.now()
    old, young = (make_task(api, created_at=(now - timedelta(days=days)).isoformat()) for days in (31, 29))

    found = error(api.get(f"{PATH}/{old}"), 410)

    assert (found["type"], found["code"]) == ("gone_error", "task_expired")
    assert api.get(f"{PATH}/{young}").status_code == 200


def test_unknown_foreign_and_other_dialects_tasks_are_a_404(api: APIClient, other_api: APIClient) -> None:
    task_id = make_task(api)
    native = api.post("/v1/runs", {"workflow_id": workflow(api)["id"]}).json()["id"]

    refused = [api.get(f"{PATH}/img-none"), other_api.get(f"{PATH}/{task_id}"), api.get(f"{PATH}/{native}")]

    for response in refused:
        assert error(response, 404)["type"] == "not_found_error"


def test_either_header_carries_the_key(organization: Organization) -> None:
    _, key = api_key_create(organization=organization)
    nobody, bearer, header = APIClient(), APIClient(), APIClient()
    bearer.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    header.credentials(HTTP_X_API_KEY=key)

    assert error(nobody.post(PATH, BODY), 401)["type"] == "authentication_error"
    assert header.get(f"{PATH}/{make_task(bearer)}").status_code == 200


@pytest.mark.parametrize(
    ("scopes", "values"), [([Scope.RUNS_READ], {}), (DEFAULT_SCOPES, {"id": "img-mine"})]
)
def test_what_the_key_may_not_do_is_a_403(
    scopes: list[str], values: Json, organization: Organization
) -> None:
    found = error(client_for(organization, scopes).post(PATH, BODY | values), 403)

    assert (found["type"], found["code"]) == ("permission_error", "missing_scope")


def test_an_imported_id_is_taken_once(api: APIClient) -> None:
    make_task(api, id="img-abc123")

    assert error(api.post(PATH, BODY | {"id": "img-abc123"}), 409)["code"] == "id_taken"


@pytest.mark.parametrize(
    "path", ["/leaperone/", "/leaperone/v1/videos", "/leaperone/v1/images/generations/a/b"]
)
def test_an_unknown_address_is_a_404_in_the_same_envelope(path: str, api: APIClient) -> None:
    found = error(api.post(path, {}), 404)

    assert (found["type"], found["code"]) == ("not_found_error", "not_found")


def test_a_fault_of_ours_is_a_500_in_the_same_envelope_and_leaves_nothing_behind(
    api: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("runs.dialects.leaperone.api.NewRun", lambda **_: 1 // 0)
    before = row_counts()

    found = error(api.post(PATH, BODY), 500)

    assert (found["type"], found["code"]) == ("server_error", "internal_error")
    assert "ZeroDivisionError" in caplog.text
    assert row_counts() == before
