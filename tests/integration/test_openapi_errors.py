"""The errors of the OpenAPI document are real ones: each example is what somebody is answered."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError
from psycopg2.extensions import TransactionRollbackError
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from subscriptions import selectors
from subscriptions.models import Organization, Scope
from tests.brokers import Broker
from tests.factories import Json, completed_run, places_taken, webhook
from tests.integration.conftest import client_for
from tests.openapi import operations, problems, served

JSON = "application/json"
Cause = Callable[["World"], Any]


class World:
    """Who calls, and what can be made to go wrong."""

    def __init__(
        self,
        organization: Organization,
        api: APIClient,
        settings: Settings,
        server: Broker,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        self.organization, self.api, self.settings, self.server = organization, api, settings, server
        self.monkeypatch = monkeypatch

    def keyless(self, **headers: str) -> Any:
        return APIClient().get("/v1/webhooks", **headers)  # type: ignore[arg-type]

    def without_scope(self) -> Any:
        return client_for(self.organization, [Scope.RUNS_READ]).post("/v1/events", {})

    def too_large(self) -> Any:
        return self.api.post("/v1/events", {"event_type": "a.b", "data": {"x": "y" * 6_300_000}})

    def too_often(self) -> Any:
        self.settings.CELERY_BROKER_URL = self.server.url
        self.settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{time.monotonic_ns()}:"}
        self.settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS = 1.0
        self.settings.API_KEY_RATE_PER_SECOND, self.settings.API_KEY_BURST_REQUESTS = 0.01, 1
        self.api.get("/v1/webhooks")
        return self.api.get("/v1/webhooks")

    def too_many_waiting(self) -> Any:
        path = f"/v1/webhooks/{webhook(self.api)['id']}/test"
        with places_taken(self.organization, self.settings.DELIVERY_WAITS_MAX // 2):
            return self.api.post(path)

    def without_database(self, cause: Exception | None = None) -> Any:
        def away(*_: Any) -> Iterator[Any]:
            raise OperationalError("away") from cause

        self.monkeypatch.setattr(selectors, "of_organization", away)
        return self.api.get("/v1/webhooks")


CAUSES: dict[tuple[str, str], Cause] = {
    ("400", "malformed_json"): lambda w: w.api.post("/v1/webhooks", '{"name": ', content_type=JSON),
    ("401", "not_authenticated"): lambda w: w.keyless(),
    ("401", "bad_api_key"): lambda w: w.keyless(HTTP_AUTHORIZATION="Bearer rhk_nobody"),
    ("403", "missing_scope"): World.without_scope,
    ("404", "not_found"): lambda w: w.api.get("/v1/organizations/org_nobody"),
    ("409", "impossible_move"): lambda w: w.api.post(
        f"/v1/runs/{completed_run(w.api)['id']}/fail", {"error": "no"}
    ),
    ("413", "body_too_large"): World.too_large,
    ("415", "unsupported_media_type"): lambda w: w.api.post("/v1/webhooks", "x", content_type="text/plain"),
    ("422", "required"): lambda w: w.api.post("/v1/webhooks", {}),
    ("422", "unknown_field"): lambda w: w.api.post("/v1/events", {"colour": "red"}),
    ("429", "rate_limit_exceeded"): World.too_often,
    ("429", "too_many_waiting"): World.too_many_waiting,
    ("503", "database_away"): World.without_database,
    ("503", "conflict_try_again"): lambda w: w.without_database(TransactionRollbackError()),
}


@pytest.fixture(scope="module")
def document(django_db_setup: None) -> Json:
    return served()


@pytest.fixture
def world(
    organization: Organization,
    api: APIClient,
    settings: Settings,
    server: Broker,
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    return World(organization, api, settings, server, monkeypatch)


def examples(document: Json) -> dict[tuple[str, str], Json]:
    return {
        (name.removeprefix("Error"), code): example["value"]
        for name, response in document["components"]["responses"].items()
        if name.startswith("Error")
        for code, example in response["content"][JSON]["examples"].items()
    }


@pytest.mark.parametrize(("status", "code"), CAUSES)
def test_an_example_of_an_error_is_what_somebody_is_answered(
    document: Json, world: World, status: str, code: str
) -> None:
    response = CAUSES[status, code](world)

    assert response.status_code == int(status)
    assert json.loads(response.content) == examples(document)[status, code]


def test_every_example_of_an_error_has_its_cause_here(document: Json) -> None:
    assert set(examples(document)) == set(CAUSES)


def test_every_error_has_examples_in_its_own_shape(document: Json) -> None:
    for name, response in document["components"]["responses"].items():
        content = response["content"][JSON]
        assert content["examples"], name
        for code, example in content["examples"].items():
            assert problems(document, content["schema"], example["value"]) == [], (name, code)


def test_every_operation_names_its_errors(document: Json) -> None:
    for name, operation in operations(document):
        expected = {"401", "403", "404", "429", "503"}
        if "requestBody" in operation:
            known = ("/leaperone", "/eachlabs")
            expected |= {"400", "413", "415"} | (set() if name.split()[1].startswith(known) else {"422"})
        assert expected <= set(operation["responses"]), name
