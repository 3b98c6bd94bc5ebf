"""/v1/webhooks: the contract of seed 001, as a caller sees it."""

import base64
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from tests.factories import PUBLIC_URL, Json, answer, refusal, webhook

SEED_001 = {"id", "name", "url", "events", "is_active", "created_at", "updated_at"}
VALID = {"name": "Hook", "url": PUBLIC_URL, "events": ["workflow.completed"]}
BOTH = "whsec_" + base64.b64encode(b"k" * 32).decode()


def get(api: APIClient, made: Json) -> Json:
    found: Json = answer(api.get(f"/v1/webhooks/{made['id']}"))
    return found


def patch(api: APIClient, made: Json, **values: Any) -> Json:
    found: Json = answer(api.patch(f"/v1/webhooks/{made['id']}", values))
    return found


def test_creating_answers_201_with_the_model_and_the_signing_secret_once(api: APIClient) -> None:
    made = answer(api.post("/v1/webhooks", VALID | {"secret": "hush", "headers": {"X-Token": "hidden"}}), 201)

    assert set(made) >= SEED_001
    assert (made["name"], made["url"], made["events"]) == ("Hook", PUBLIC_URL, ["workflow.completed"])
    assert made["is_active"] is True
    assert (made["has_secret"], made["headers"]) == (True, ["X-Token"])
    assert made["signing_secret"].startswith("whsec_")
    assert "signing_secret" not in get(api, made)


def test_the_secret_and_the_values_of_headers_are_never_shown(api: APIClient) -> None:
    values = VALID | {"secret": "hush-hush", "headers": {"X-Token": "hidden-value"}}
    created = api.post("/v1/webhooks", values)
    id_ = answer(created, 201)["id"]

    answers = [
        created,
        api.get(f"/v1/webhooks/{id_}"),
        api.get("/v1/webhooks"),
        api.patch(f"/v1/webhooks/{id_}", {"secret": "hush-hush-2", "headers": {"X-Other": "hidden-value"}}),
    ]

    for each in answers:
        assert "secret" not in answer(each, each.status_code)
        assert b"hush-hush" not in each.content
        assert b"hidden-value" not in each.content


def test_new_subscriptions_get_every_format_default_of_seed_001(api: APIClient) -> None:
    made = webhook(api)

    assert made["payload_format"] == "elan_event"
    assert made["signature_schemes"] == ["standard_webhooks", "hmac_sha256_hex"]
    assert made["retry_policy"] == "standard"
    assert made["workflow_ids"] == []
    assert made["has_secret"] is False


def test_ids_are_integers_that_count_nothing(api: APIClient) -> None:
    ids = [webhook(api)["id"] for _ in range(5)]

    assert all(type(id_) is int and 0 < id_ < 2**53 for id_ in ids)
    assert len(set(ids)) == 5
    assert max(ids) - min(ids) > 1000


def test_a_secret_of_standard_webhooks_form_serves_as_both(api: APIClient) -> None:
    made = webhook(api, secret=BOTH)

    assert made["signing_secret"] == BOTH
    assert made["has_secret"] is True


def test_the_list_has_all_subscriptions_oldest_first(api: APIClient) -> None:
    ids = [webhook(api, name=f"Hook {n}")["id"] for n in range(3)]

    listed = answer(api.get("/v1/webhooks"))

    assert [each["id"] for each in listed["webhooks"]] == ids
    assert {name: listed[name] for name in ("total", "limit", "offset")} == {
        "total": 3,
        "limit": 50,
        "offset": 0,
    }
    assert listed["webhooks"][0] == get(api, {"id": ids[0]})


def test_the_list_is_complete_beyond_50_and_paged_on_request(api: APIClient) -> None:
    ids = [webhook(api)["id"] for _ in range(53)]

    everything = answer(api.get("/v1/webhooks"))
    part = answer(api.get("/v1/webhooks", {"limit": 2, "offset": 50}))

    assert [each["id"] for each in everything["webhooks"]] == ids
    assert [each["id"] for each in part["webhooks"]] == ids[50:52]
    assert (part["total"], part["limit"], part["offset"]) == (53, 2, 50)


def test_an_empty_list(api: APIClient) -> None:
    assert answer(api.get("/v1/webhooks")) == {"webhooks": [], "total": 0, "limit": 50, "offset": 0}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Other"),
        ("url", "https://other.example.com/x"),
        ("events", ["workflow.failed", "invoice.paid"]),
        ("is_active", False),
        ("payload_format", "standard"),
        ("signature_schemes", ["none"]),
        ("retry_policy", "leaperone"),
        ("retry_schedule", [1.0, 2.5]),
        ("timeout_seconds", 3.5),
        ("rate_limit_per_second", 0.5),
        ("workflow_ids", ["wf_1"]),
    ],
)
def test_patch_changes_only_the_given_field(api: APIClient, field: str, value: Any) -> None:
    made = webhook(api, secret="hush", headers={"X-A": "1"}, retry_schedule=[5.0], timeout_seconds=7.0)
    before = get(api, made)

    after = patch(api, made, **{field: value})

    assert after[field] == value
    assert after["updated_at"] > before["updated_at"]
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {field, "updated_at"}
    assert get(api, made) == after


def test_an_empty_patch_changes_nothing_but_is_answered(api: APIClient) -> None:
    made = webhook(api, secret="hush", headers={"X-A": "1"})
    before = get(api, made)

    after = patch(api, made)

    assert {**after, "updated_at": None} == {**before, "updated_at": None}


def test_null_clears_secret_and_headers_and_leaving_them_out_keeps_them(api: APIClient) -> None:
    made = webhook(api, secret="hush", headers={"X-A": "1"})

    assert patch(api, made, name="Other")["has_secret"] is True
    assert patch(api, made, secret=None)["has_secret"] is False
    assert patch(api, made, name="Again")["headers"] == ["X-A"]
    assert patch(api, made, headers=None)["headers"] == []


def test_null_clears_schedule_timeout_and_rate_limit(api: APIClient) -> None:
    values = {"retry_schedule": [1.0], "timeout_seconds": 3.0, "rate_limit_per_second": 2.0}
    made = webhook(api, **values)
    assert {name: made[name] for name in values} == values

    after = patch(api, made, **dict.fromkeys(values))

    assert {after[name] for name in values} == {None}


@pytest.mark.parametrize("field", ["name", "url", "events", "is_active", "payload_format", "workflow_ids"])
def test_null_does_not_clear_what_a_subscription_must_have(api: APIClient, field: str) -> None:
    made = webhook(api)
    before = get(api, made)

    refusal(api.patch(f"/v1/webhooks/{made['id']}", {field: None}), 422, "null", field)

    assert get(api, made) == before


def test_a_refused_patch_changes_none_of_its_fields(api: APIClient) -> None:
    made = webhook(api, secret="hush")
    before = get(api, made)

    body = {"name": "Other", "secret": None, "url": "https://127.0.0.1.nip/#x"}
    refusal(api.patch(f"/v1/webhooks/{made['id']}", body), 422, "url_not_allowed", "url")

    assert get(api, made) == before


def test_deleting_answers_204_without_a_body_and_then_404(api: APIClient) -> None:
    made = webhook(api)
    path = f"/v1/webhooks/{made['id']}"

    deleted = api.delete(path)

    assert (deleted.status_code, deleted.content) == (204, b"")
    for response in (
        api.get(path),
        api.patch(path, {"name": "x"}),
        api.delete(path),
        api.post(f"{path}/test"),
        api.post(f"{path}/rotate-secret"),
    ):
        refusal(response, 404, "not_found")
    assert answer(api.get("/v1/webhooks"))["webhooks"] == []


def test_targets_are_https_unless_the_operator_says_otherwise(api: APIClient, settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = False

    refusal(api.post("/v1/webhooks", VALID | {"url": "http://example.com/"}), 422, "url_not_allowed", "url")


def test_repeated_events_are_kept_once(api: APIClient) -> None:
    assert webhook(api, events=["a.b", "workflow.failed", "a.b"])["events"] == ["a.b", "workflow.failed"]


def test_the_number_of_subscriptions_is_limited(api: APIClient, settings: Settings) -> None:
    settings.SUBSCRIPTIONS_PER_ORGANIZATION_MAX = 2
    first = webhook(api)
    webhook(api)

    refusal(api.post("/v1/webhooks", VALID), 422, "too_many_subscriptions")

    api.delete(f"/v1/webhooks/{first['id']}")
    webhook(api)
