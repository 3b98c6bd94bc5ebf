"""What stands before Django: bodies without a Content-Length, and connections that the database closed."""

import io
from contextlib import closing
from typing import Any

import pytest
from django.db import connection
from psycopg2 import extensions
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.factories import answer, run
from tests.integration.test_recorder import move_database_away
from webhooks_project.chunked import reading_chunked_bodies
from webhooks_project.connections import drop_dead_connection, wait_in_bounds


@pytest.fixture
def environ() -> dict[str, Any]:
    return {
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input_terminated": True,
        "wsgi.input": io.BytesIO(b'{"a":1}'),
    }


def seen(environ: dict[str, Any]) -> tuple[str | None, bytes]:
    """The length that the application is told, and the body that it may read."""
    found: list[tuple[str | None, bytes]] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        found.append((environ.get("CONTENT_LENGTH"), environ["wsgi.input"].read()))
        return []

    reading_chunked_bodies(application)(environ, None)
    return found[0]


def test_the_whole_body_arrives(environ: dict[str, Any]) -> None:
    assert seen(environ) == ("7", b'{"a":1}')


def test_one_byte_more_than_is_allowed_is_read_and_no_more(
    environ: dict[str, Any], settings: Settings
) -> None:
    settings.API_BODY_MAX_BYTES = 3

    assert seen(environ) == ("4", b'{"a"')


def test_a_server_that_does_not_end_the_input_is_not_read_without_bound(environ: dict[str, Any]) -> None:
    del environ["wsgi.input_terminated"]

    assert seen(environ)[0] is None


def test_a_body_with_a_length_is_left_alone(environ: dict[str, Any]) -> None:
    del environ["HTTP_TRANSFER_ENCODING"]
    environ["CONTENT_LENGTH"] = "7"

    assert seen(environ) == ("7", b'{"a":1}')


def test_a_connection_that_the_database_closed_is_replaced_before_a_request_needs_it(api: APIClient) -> None:
    answer(api.get("/v1/webhooks"))
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])

    drop_dead_connection()

    answer(api.get("/v1/webhooks"))


def test_a_connection_that_lives_is_kept(api: APIClient) -> None:
    answer(api.get("/v1/webhooks"))
    kept = connection.connection

    drop_dead_connection()

    assert connection.connection is kept


def test_while_the_database_is_away_a_call_is_a_503_that_says_when_to_come_back(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        move_database_away(away)
        refused = api.post("/v1/events", {"event_type": "order.paid", "data": {}})

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
    assert refused.json()["code"] == "database_away"
    answer(api.post("/v1/events", {"event_type": "order.paid", "data": {}}), 202)


@pytest.mark.parametrize("state", ["40P01", "40001"], ids=["deadlock", "serialization failure"])
def test_a_call_that_the_database_ended_in_favour_of_another_says_so_and_can_be_made_again(
    api: APIClient, state: str
) -> None:
    ended = f"DO $$ BEGIN RAISE EXCEPTION 'ended' USING ERRCODE = '{state}'; END $$; "
    path = f"/v1/runs/{run(api)['id']}/start"

    def ends(execute: Any, sql: str, *rest: Any) -> Any:
        return execute(ended + sql if "UPDATE" in sql and "runs_run" in sql else sql, *rest)

    with connection.execute_wrapper(ends):
        refused = api.post(path, {})

    assert (refused.status_code, refused["Retry-After"]) == (503, "1")
    assert refused.json()["code"] == "conflict_try_again"
    assert answer(api.post(path, {}))["status"] == "running"


def test_a_database_that_does_not_answer_is_a_503_in_bounded_time_and_the_next_call_works(
    api: APIClient, settings: Settings
) -> None:
    settings.API_DATABASE_TIMEOUT_SECONDS = 0.2
    extensions.set_wait_callback(wait_in_bounds)
    try:
        with connection.execute_wrapper(
            lambda execute, sql, *rest: execute("SELECT pg_sleep(5); " + sql, *rest)
        ):
            refused = api.get("/v1/webhooks")
        drop_dead_connection()
        answer(api.get("/v1/webhooks"))
    finally:
        extensions.set_wait_callback(None)

    assert (refused.status_code, refused["Retry-After"]) == (503, "5")
