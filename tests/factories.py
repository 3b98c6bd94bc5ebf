"""Short hands for tests: what a test needs, made through the public API."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Barrier
from typing import Any, TypeVar

from django.apps import apps
from django.db import connection, connections
from rest_framework.test import APIClient

from delivery import services
from delivery.models import Delivery
from subscriptions.models import Organization

Json = dict[str, Any]
Result = TypeVar("Result")

PUBLIC_URL = "https://hooks.example.com/in"


@contextmanager
def places_taken(organization: Organization, count: int) -> Iterator[None]:
    """So many requests of the organization wait for a receiver."""
    with ExitStack() as places:
        for _ in range(count):
            places.enter_context(services.one_waiting_place(organization))
        yield


def answer(response: Any, status: int = 200) -> Any:
    """The JSON of a response, which must have this status."""
    assert response.status_code == status, f"{response.status_code}: {response.content[:600]!r}"
    return json.loads(response.content) if response.content else None


def refusal(response: Any, status: int, code: str, field: str | None = None) -> Json:
    """The JSON of an error in the common shape, with this status, code and offending field."""
    body = error_of(response)
    found = (response.status_code, body["code"], body["field"])
    assert found == (status, code, field), f"{found}: {body['detail']}"
    return body


def error_of(response: Any) -> Json:
    """The JSON of an error, after a look at its shape."""
    assert 400 <= response.status_code < 500, f"{response.status_code}: {response.content[:600]!r}"
    assert response["Content-Type"].startswith("application/json"), response["Content-Type"]
    body: Json = json.loads(response.content)
    assert {"detail", "code", "field"} <= set(body) <= {"detail", "code", "field", "errors"}, body
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert isinstance(body["code"], str)
    assert body["field"] is None or isinstance(body["field"], str)
    return body


def webhook(api: APIClient, **values: Any) -> Json:
    """A subscription, made through the API."""
    defaults = {"name": "Hook", "url": PUBLIC_URL, "events": ["*"]}
    made: Json = answer(api.post("/v1/webhooks", defaults | values), 201)
    return made


def workflow(api: APIClient, **values: Any) -> Json:
    made: Json = answer(api.post("/v1/workflows", {"name": "Cats"} | values), 201)
    return made


def run(api: APIClient, **values: Any) -> Json:
    """A queued run, of a new workflow unless one is named."""
    if "workflow_id" not in values:
        values["workflow_id"] = workflow(api)["id"]
    made: Json = answer(api.post("/v1/runs", values), 201)
    return made


def report(api: APIClient, run_id: str, move: str, body: Any = None, status: int = 200) -> Json:
    # Written by hand: the test client cannot send a lone surrogate.
    text = json.dumps({} if body is None else body)
    path = f"/v1/runs/{run_id}/{move}"
    said: Json = answer(api.post(path, text, content_type="application/json"), status)
    return said


def started_run(api: APIClient, **values: Any) -> Json:
    return report(api, run(api, **values)["id"], "start")


def completed_run(api: APIClient, output: Any = None, **values: Any) -> Json:
    return report(api, started_run(api, **values)["id"], "complete", {"output": output})


def events_of(api: APIClient, run_id: str) -> list[Json]:
    """The run's events with their deliveries, oldest first."""
    found: list[Json] = answer(api.get(f"/v1/runs/{run_id}/webhooks"))["events"]
    return found


def types_of(api: APIClient, run_id: str) -> list[str]:
    return [event["type"] for event in events_of(api, run_id)]


def body_of(delivery: Delivery) -> bytes:
    """What it sends."""
    kept = delivery.kept_body()
    assert kept is not None
    return bytes(kept.body)


def deliveries(api: APIClient, **filters: Any) -> list[Json]:
    found: list[Json] = answer(api.get("/v1/deliveries", filters))["deliveries"]
    return found


def logs(api: APIClient, webhook_id: int | str = "all") -> list[Json]:
    path = "/v1/webhooks/logs/all" if webhook_id == "all" else f"/v1/webhooks/{webhook_id}/logs"
    found: list[Json] = answer(api.get(path))["logs"]
    return found


def at_once(*calls: Callable[[], Result]) -> list[Result]:
    """The results of calls made at the same moment in threads with database connections of their own."""
    barrier = Barrier(len(calls))

    def make(call: Callable[[], Result]) -> Result:
        try:
            barrier.wait(10)
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def row_counts() -> dict[str, int]:
    """How many rows each of our tables has: a refused request must leave them all alone."""
    labels = ("subscriptions", "delivery", "runs")
    tables = [model._meta.db_table for label in labels for model in apps.get_app_config(label).get_models()]
    counted = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
    with connection.cursor() as cursor:
        cursor.execute(counted)
        return dict(cursor.fetchall())
