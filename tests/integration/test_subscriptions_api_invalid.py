"""/v1/webhooks: what is refused, and which field is named."""

import pytest
from rest_framework.test import APIClient

from tests.factories import PUBLIC_URL, Json, answer, refusal, webhook

VALID = {"name": "Hook", "url": PUBLIC_URL, "events": ["workflow.completed"]}

INVALID: dict[str, tuple[Json, str]] = {
    "no name": ({"name": None}, "name"),
    "blank name": ({"name": "  "}, "name"),
    "a name of 256 characters": ({"name": "x" * 256}, "name"),
    "a number as name": ({"name": 5}, "name"),
    "a NUL in the name": ({"name": "a\x00b"}, "name"),
    "no URL": ({"url": ""}, "url"),
    "a URL of 2049 characters": ({"url": PUBLIC_URL.ljust(2049, "x")}, "url"),
    "another scheme": ({"url": "ftp://example.com/"}, "url"),
    "a private address": ({"url": "https://10.0.0.1/"}, "url"),
    "userinfo": ({"url": "https://a:b@example.com/"}, "url"),
    "no events": ({"events": []}, "events"),
    "events as text": ({"events": "workflow.completed"}, "events"),
    "an unknown workflow event": ({"events": ["workflow.paused"]}, "events"),
    "an unknown subscription event": ({"events": ["subscription.created"]}, "events"),
    "an impossible event name": ({"events": ["a b"]}, "events"),
    "101 events": ({"events": [f"a.b{n}" for n in range(101)]}, "events"),
    "a secret of 256 characters": ({"secret": "x" * 256}, "secret"),
    "an empty secret": ({"secret": ""}, "secret"),
    "headers as a list": ({"headers": ["X-A"]}, "headers"),
    "a reserved header": ({"headers": {"Content-Type": "text/plain"}}, "headers"),
    "a header that splits": ({"headers": {"X-A": "1\r\nX-B: 2"}}, "headers"),
    "active as text": ({"is_active": "yes"}, "is_active"),
    "an unknown format": ({"payload_format": "xml"}, "payload_format"),
    "a format that cannot carry it": ({"payload_format": "leap_v2", "events": ["*"]}, "payload_format"),
    "an unknown scheme": ({"signature_schemes": ["rot13"]}, "signature_schemes.0"),
    "the callbacks' scheme": ({"signature_schemes": ["skyvern"]}, "signature_schemes"),
    "none and another scheme": ({"signature_schemes": ["none", "shared_secret"]}, "signature_schemes"),
    "an unknown policy": ({"retry_policy": "often"}, "retry_policy"),
    "a negative wait": ({"retry_schedule": [-1]}, "retry_schedule"),
    "a timeout of an hour": ({"timeout_seconds": 3600}, "timeout_seconds"),
    "a timeout as text": ({"timeout_seconds": "10"}, "timeout_seconds"),
    "a rate of nothing": ({"rate_limit_per_second": 0}, "rate_limit_per_second"),
    "a rate beyond all limits": ({"rate_limit_per_second": 1e6}, "rate_limit_per_second"),
    "a rate as text": ({"rate_limit_per_second": "10"}, "rate_limit_per_second"),
    "a misspelt field": ({"event": ["workflow.completed"]}, "event"),
    "an id of one's own": ({"id": 5}, "id"),
}


@pytest.mark.parametrize("case", INVALID)
def test_invalid_input_is_a_422_that_names_the_field_and_makes_nothing(api: APIClient, case: str) -> None:
    values, field = INVALID[case]

    response = api.post("/v1/webhooks", VALID | values)

    assert answer(response, 422)["field"] == field
    assert answer(api.get("/v1/webhooks"))["total"] == 0


@pytest.mark.parametrize("field", ["name", "url", "events"])
def test_a_missing_field_is_named(api: APIClient, field: str) -> None:
    body = {name: value for name, value in VALID.items() if name != field}

    refusal(api.post("/v1/webhooks", body), 422, "required", field)


def test_several_wrong_fields_are_all_listed(api: APIClient) -> None:
    body = answer(api.post("/v1/webhooks", {"name": 5, "url": PUBLIC_URL, "events": "x"}), 422)

    assert {error["field"] for error in body["errors"]} == {"name", "events"}


@pytest.mark.parametrize(
    "schemes", [["hmac_sha256_hex"], ["shared_secret"], ["hmac_sha256_hex", "shared_secret"]]
)
def test_schemes_that_all_need_a_secret_are_refused_without_one(api: APIClient, schemes: list[str]) -> None:
    body = {"name": "Hook", "url": PUBLIC_URL, "events": ["*"], "signature_schemes": schemes}
    refusal(api.post("/v1/webhooks", body), 422, "secret_needed", "secret")
    assert answer(api.get("/v1/webhooks"))["total"] == 0

    made = webhook(api, signature_schemes=schemes, secret="sesame")
    path = f"/v1/webhooks/{made['id']}"
    refusal(api.patch(path, {"secret": None}), 422, "secret_needed", "secret")
    assert answer(api.get(path))["has_secret"] is True
    answer(api.patch(path, {"secret": None, "signature_schemes": ["standard_webhooks"]}))
    refusal(api.patch(path, {"signature_schemes": schemes}), 422, "secret_needed", "secret")


@pytest.mark.parametrize("secret", [" x", "x ", "café", "a\nb", "a\tb"], ids=repr)
def test_a_text_that_no_header_can_carry_is_refused_where_it_is_sent_in_one(
    api: APIClient, secret: str
) -> None:
    schemes = {"signature_schemes": ["shared_secret"]}
    refusal(api.post("/v1/webhooks", VALID | schemes | {"secret": secret}), 422, "bad_secret", "secret")
    assert answer(api.get("/v1/webhooks"))["total"] == 0

    # As the key of an HMAC it serves, until the scheme is chosen.
    made = webhook(api, signature_schemes=["hmac_sha256_hex"], secret=secret)
    path = f"/v1/webhooks/{made['id']}"
    refusal(api.patch(path, schemes), 422, "bad_secret", "secret")
    assert answer(api.get(path))["signature_schemes"] == ["hmac_sha256_hex"]
    answer(api.patch(path, schemes | {"secret": "sesame"}))
    refusal(api.patch(path, {"secret": secret}), 422, "bad_secret", "secret")
