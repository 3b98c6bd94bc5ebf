"""API keys: who is let in, who is told what, and what is noted of their use."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from freezegun import freeze_time
from pytest_django import Settings
from rest_framework.test import APIClient

from subscriptions import key_use, known_keys, services
from subscriptions.models import ApiKey, Organization
from tests.factories import answer, at_once, refusal
from tests.integration.conftest import client_for
from tests.integration.test_queries import statements

NOON = "2026-03-01T12:00:00Z"


@pytest.fixture
def made(organization: Organization) -> tuple[ApiKey, str]:
    return services.api_key_create(organization=organization)


def get(path: str = "/v1/webhooks", **headers: str) -> Any:
    return APIClient().get(path, **headers)  # type: ignore[arg-type]


def bearer(key: str) -> Any:
    return get(HTTP_AUTHORIZATION=f"Bearer {key}")


@pytest.fixture
def other_process() -> Iterator[ThreadPoolExecutor]:
    """With a database connection of its own that stays open from request to request."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result()


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer", "bad_api_key"),
        ("Bearer ", "bad_api_key"),
        ("Bearer {key} {key}", "bad_api_key"),
        ("Bearer\t{key}", "not_authenticated"),
        ("Bearer{key}", "not_authenticated"),
        ("{key}", "not_authenticated"),
        ("Basic {key}", "not_authenticated"),
        ("Bearer {key}\u00e9", "bad_api_key"),
        ("Bearer \u00e9\u00ff", "bad_api_key"),
        ("Bearer {key}\x00", "bad_api_key"),
        ("Bearer \x00", "bad_api_key"),
        ("Bearer {hash}", "bad_api_key"),
        ("Bearer {prefix}", "bad_api_key"),
        ("Bearer {upper}", "bad_api_key"),
    ],
)
def test_what_is_not_quite_a_key_is_a_401(made: tuple[ApiKey, str], authorization: str, code: str) -> None:
    row, key = made
    text = authorization.format(key=key, hash=row.key_hash, prefix=row.prefix, upper=key.upper())

    response = get(HTTP_AUTHORIZATION=text)

    refusal(response, 401, code)
    assert response["WWW-Authenticate"] == 'Bearer realm="runhooks"'


def test_of_two_headers_bearer_counts_and_the_other_does_not_help(made: tuple[ApiKey, str]) -> None:
    key = made[1]

    for other in (key, "rhk_unknown", ""):
        answer(get(HTTP_AUTHORIZATION=f"Bearer {key}", HTTP_X_API_KEY=other))
    for wrong in ("Bearer rhk_unknown", "Bearer", "Bearer "):
        refusal(get(HTTP_AUTHORIZATION=wrong, HTTP_X_API_KEY=key), 401, "bad_api_key")
    # A proxy's own log-in is not ours to look at.
    answer(get(HTTP_AUTHORIZATION="Basic dXNlcjpwYXNz", HTTP_X_API_KEY=key))


def test_unknown_expired_and_revoked_keys_are_answered_alike(organization: Organization) -> None:
    _, expired = services.api_key_create(
        organization=organization, expires_at=timezone.now() - timedelta(seconds=1)
    )
    row, revoked = services.api_key_create(organization=organization)
    services.api_key_revoke(row)

    answers = [bearer(key) for key in (expired, revoked, "rhk_" + "0" * 64)]

    for response in answers:
        refusal(response, 401, "bad_api_key")
    assert len({response.content for response in answers}) == 1


def test_without_a_key_it_is_401_and_with_too_weak_a_one_403(organization: Organization) -> None:
    refusal(get(), 401, "not_authenticated")

    refused = client_for(organization, ["runs:read"]).get("/v1/webhooks")

    refusal(refused, 403, "missing_scope")
    assert "WWW-Authenticate" not in refused


@pytest.mark.parametrize("wanted", ["\x00", "org_\x00", "\u00e9", "' OR 1=1", "x" * 5000, ""])
def test_an_organization_that_is_none_is_a_404(api: APIClient, admin_client: Client, wanted: str) -> None:
    refusal(api.get("/v1/webhooks", HTTP_X_ORG_ID=wanted), 404, "not_found", "X-Org-Id")
    if wanted:
        assert admin_client.get("/v1/webhooks", HTTP_X_ORG_ID=wanted).status_code == 404


def test_a_key_is_looked_up_by_its_hash_and_nothing_else_of_it_reaches_the_database(
    made: tuple[ApiKey, str],
) -> None:
    with CaptureQueriesContext(connection) as captured:
        answer(bearer(made[1]))

    assert made[1] not in str(captured.captured_queries)
    assert made[0].key_hash in captured.captured_queries[0]["sql"]


def test_a_revoked_key_is_refused_by_another_process_from_its_next_request_on(
    made: tuple[ApiKey, str], other_process: ThreadPoolExecutor
) -> None:
    assert other_process.submit(bearer, made[1]).result().status_code == 200

    services.api_key_revoke(made[0])

    refusal(other_process.submit(bearer, made[1]).result(), 401, "bad_api_key")


def test_the_last_use_is_noted_to_a_minute(made: tuple[ApiKey, str], organization: Organization) -> None:
    def noted() -> str | None:
        at = ApiKey.objects.get(pk=made[0].pk).last_used_at
        return at.isoformat() if at else None

    assert noted() is None
    with freeze_time(NOON) as clock:
        answer(bearer(made[1]))
        first = noted()
        clock.tick(59)
        answer(bearer(made[1]))
        second = noted()
        clock.tick(1)
        answer(bearer(made[1]))
        third = noted()

    assert first == second == "2026-03-01T12:00:00+00:00"
    assert third == "2026-03-01T12:01:00+00:00"


def test_a_refused_key_was_not_used(made: tuple[ApiKey, str]) -> None:
    row, key = made
    services.api_key_revoke(row)

    refusal(bearer(key), 401, "bad_api_key")
    refusal(get(), 401, "not_authenticated")

    assert ApiKey.objects.get().last_used_at is None


def test_it_is_written_after_the_answer_and_once_a_minute_at_the_most(made: tuple[ApiKey, str]) -> None:
    with CaptureQueriesContext(connection) as first:
        answer(bearer(made[1]))
    with CaptureQueriesContext(connection) as second:
        answer(bearer(made[1]))

    assert statements(first)[-1] == "UPDATE subscriptions_apikey"
    assert statements(second) == statements(first)[:-1]


def test_of_many_requests_at_once_one_writes(made: tuple[ApiKey, str]) -> None:
    def use() -> str:
        key_use.note(ApiKey.objects.get(pk=made[0].pk))
        key_use.write_noted()
        with connection.cursor() as cursor:
            cursor.execute("SELECT xmin::text FROM subscriptions_apikey WHERE id = %s", [made[0].pk])
            ((writer,),) = cursor.fetchall()
        return str(writer)

    assert len(set(at_once(*[use] * 8))) == 1


def test_a_use_that_cannot_be_noted_fails_no_request(
    made: tuple[ApiKey, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise DatabaseError("read-only")

    monkeypatch.setattr(QuerySet, "update", fail)

    answer(bearer(made[1]))

    assert f"use of an API key not noted key={made[0].pk} error=read-only" in caplog.text
    assert made[1] not in caplog.text


def test_a_kept_key_is_refused_at_once_where_it_is_revoked_and_soon_elsewhere(
    organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_KEY_CACHE_SECONDS = 2.0
    clock = [1000.0]
    monkeypatch.setattr(known_keys, "monotonic", lambda: clock[0])
    here, mine = services.api_key_create(organization=organization)
    there, other = services.api_key_create(organization=organization)
    assert bearer(mine).status_code == bearer(other).status_code == 200

    services.api_key_revoke(here)
    ApiKey.objects.filter(pk=there.pk).update(revoked_at=Now())  # as another process does

    assert bearer(mine).status_code == 401
    assert bearer(other).status_code == 200
    clock[0] += 2.0
    assert bearer(other).status_code == 401
    known_keys.clear()


def test_a_kept_key_is_looked_up_anew_by_one_caller_while_the_others_go_on(
    made: tuple[ApiKey, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_KEY_CACHE_SECONDS = 2.0
    clock = [1000.0]
    monkeypatch.setattr(known_keys, "monotonic", lambda: clock[0])
    bearer(made[1])
    clock[0] += 1.0
    looked_up: list[bool] = []

    for _ in range(3):
        with CaptureQueriesContext(connection) as captured:
            bearer(made[1])
        looked_up.append(any("subscriptions_apikey" in query["sql"] for query in captured.captured_queries))

    assert looked_up == [True, False, False]
    known_keys.clear()


def test_a_kept_key_is_not_looked_up_again_and_still_expires_in_time(
    organization: Organization, settings: Settings
) -> None:
    settings.API_KEY_CACHE_SECONDS = 60.0
    _, key = services.api_key_create(
        organization=organization, expires_at=timezone.now() + timedelta(minutes=1)
    )
    bearer(key)

    with CaptureQueriesContext(connection) as captured:
        bearer(key)
    with freeze_time(timezone.now() + timedelta(minutes=2)):
        late = bearer(key)

    assert not [query for query in captured.captured_queries if "apikey" in query["sql"]]
    assert late.status_code == 401
    known_keys.clear()
