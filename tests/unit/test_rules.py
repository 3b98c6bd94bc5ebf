"""What a subscription may say; each refusal names the field."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings

from delivery import signing
from subscriptions import rules
from subscriptions.keys import new_standard_secret
from webhooks_project.errors import InvalidInput

BAD_NAMES = ["", " ", "a b", "a:b", "a\n", "a\r\nb", "é", "a\x00", "(a)", "a,b", "a/b", "a=b", "x" * 256]
RESERVED = """Host HOST Connection Keep-Alive Transfer-Encoding TE Trailer Upgrade Expect Content-Type
    content-length Content-Encoding Accept-Encoding User-Agent Date Cookie Proxy-Authorization webhook-id
    Proxy-Connection Proxy-Authenticate HTTP2-Settings Max-Forwards Via Forwarded Content-MD5 Content-Any
    Webhook-Timestamp WEBHOOK-SIGNATURE Webhook-Any X-Skyvern-Timestamp
    X-Webhook-Signature X-Webhook-Secret X-Skyvern-Signature Set-Cookie X-Real-IP X-Forwarded-For
    X-Forwarded-Any Webhook_Signature Content_Length Transfer_Encoding X_Webhook-Secret X_Real_IP
    HTTP2_SETTINGS""".split()
BAD_VALUES = ["a\nb", "a\r\nX-Evil: 1", "a\x00", "a\x7f", "a\tb", "é", "☕", "x" * 4097]


def refusal(check: Any, *args: Any) -> tuple[str, str | None]:
    with pytest.raises(InvalidInput) as refused:
        check(*args)
    return refused.value.error_code, refused.value.field


@pytest.mark.parametrize("name", ["Authorization", "X-Custom", "x_y", "A!#$%&'*+.^_`|~9-", "x" * 255])
def test_a_custom_header_is_allowed(name: str) -> None:
    rules.check_headers({name: "Bearer abc, with ~ every printable: {}"})


def test_an_empty_header_value_is_allowed() -> None:
    rules.check_headers({"X-Empty": ""})


@pytest.mark.parametrize("name", BAD_NAMES, ids=[repr(name)[:20] for name in BAD_NAMES])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    assert refusal(rules.check_headers, {name: "x"}) == ("bad_header", "headers")


@pytest.mark.parametrize("name", RESERVED)
def test_a_header_that_the_service_sets_is_refused(name: str) -> None:
    assert refusal(rules.check_headers, {name: "x"}) == ("reserved_header", "headers")


@pytest.mark.parametrize("value", BAD_VALUES, ids=[repr(value)[:20] for value in BAD_VALUES])
def test_a_value_that_could_break_the_request_is_refused(value: str) -> None:
    assert refusal(rules.check_headers, {"X-A": value}) == ("bad_header", "headers")


def test_a_header_may_be_given_once_whatever_its_case() -> None:
    assert refusal(rules.check_headers, {"X-A": "1", "x-a": "2"}) == ("duplicate", "headers")


def test_the_number_of_headers_is_limited(settings: Settings) -> None:
    settings.SUBSCRIPTION_HEADERS_MAX = 2

    rules.check_headers({"A": "", "B": ""})

    assert refusal(rules.check_headers, {"A": "", "B": "", "C": ""}) == ("too_many", "headers")


def test_names_and_values_together_are_limited(settings: Settings) -> None:
    settings.SUBSCRIPTION_HEADERS_MAX_BYTES = 20

    rules.check_headers({"X-A": "1234567", "X-B": "1234567"})

    too_long = {"X-A": "1234567", "X-Bc": "1234567"}
    assert refusal(rules.check_headers, too_long) == ("too_long", "headers")


def test_no_header_that_the_service_sends_can_be_set_by_a_customer() -> None:
    message = signing.Signable(webhook_id="evt_1", timestamp=1, body=b"{}")
    keys = signing.Keys(standard=[new_standard_secret()], text=["text"], api_key="key")
    ours = {"Content-Type", "User-Agent", "Accept-Encoding", "Host", "Content-Length", "Connection"}
    ours |= set(signing.headers_for(list(signing.SCHEMES), message, keys))

    assert len(ours) > 10
    for name in ours:
        assert refusal(rules.check_headers, {name: "x"}) == ("reserved_header", "headers"), name


def test_a_refused_value_is_not_repeated_in_the_message() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules.check_headers({"Authorization": "Bearer secret\n"})

    assert "secret" not in refused.value.detail


def test_a_url_loses_the_blanks_around_it() -> None:
    assert rules.clean_url("  https://example.com/a \n") == "https://example.com/a"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        *(("", "blank"), ("   ", "blank"), ("https://example.com/" + "a" * 2048, "max_length")),
        *(("https://10.0.0.1/", "url_not_allowed"), ("nonsense", "url_not_allowed")),
    ],
    ids=["empty", "blank", "too long", "private", "nonsense"],
)
def test_a_url_that_cannot_be_a_target_is_refused_naming_the_field(url: str, code: str) -> None:
    assert refusal(rules.clean_url, url, "webhook_url") == (code, "webhook_url")


def test_a_url_of_exactly_2048_characters_is_accepted() -> None:
    url = "https://example.com/".ljust(2048, "a")

    assert rules.clean_url(url) == url


def test_https_is_demanded_unless_the_operator_says_otherwise(settings: Settings) -> None:
    settings.WEBHOOK_ALLOW_HTTP = False

    assert refusal(rules.clean_url, "http://example.com/") == ("url_not_allowed", "url")


@pytest.mark.parametrize(
    ("events", "payload_format", "expected"),
    [
        ([], "elan_event", ("empty", "events")),
        (["workflow.paused"], "elan_event", ("unknown_event_type", "events")),
        (["workflow.completed", "no way"], "standard", ("unknown_event_type", "events")),
        (["subscription.created"], "standard", ("unknown_event_type", "events")),
        (["workflow.started"], "leap_v2", ("format_cannot_carry_event", "payload_format")),
        (["*"], "leap_v1", ("format_cannot_carry_event", "payload_format")),
        (["invoice.paid"], "leap_v2", ("format_cannot_carry_event", "payload_format")),
    ],
)
def test_events_that_cannot_be_told_are_refused(
    events: list[str], payload_format: str, expected: tuple[str, str]
) -> None:
    assert refusal(rules.check_events, events, payload_format) == expected


@pytest.mark.parametrize(
    ("check", "value", "field"),
    [
        (rules.check_secret, "", "secret"),
        (rules.check_secret, "x" * 256, "secret"),
        (rules.check_schemes, [], "signature_schemes"),
        (rules.check_schemes, ["hmac_sha256_hex", "hmac_sha256_hex"], "signature_schemes"),
        (rules.check_schemes, ["none", "hmac_sha256_hex"], "signature_schemes"),
        (rules.check_retry_schedule, [-1.0], "retry_schedule"),
        (rules.check_retry_schedule, [7 * 24 * 3600 + 1.0], "retry_schedule"),
        (rules.check_retry_schedule, [float("nan")], "retry_schedule"),
        (rules.check_retry_schedule, [1.0] * 31, "retry_schedule"),
        (rules.check_timeout, 0.0, "timeout_seconds"),
        (rules.check_timeout, 61.0, "timeout_seconds"),
        (rules.check_timeout, float("nan"), "timeout_seconds"),
        (rules.check_timeout, -1.0, "timeout_seconds"),
    ],
)
def test_a_value_out_of_range_is_refused_naming_the_field(check: Any, value: Any, field: str) -> None:
    assert refusal(check, value)[1] == field


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (rules.check_secret, "x" * 255),
        (rules.check_schemes, ["none"]),
        (rules.check_schemes, ["standard_webhooks", "hmac_sha256_hex", "shared_secret"]),
        (rules.check_retry_schedule, None),
        (rules.check_retry_schedule, []),
        (rules.check_retry_schedule, [0.0, 7 * 24 * 3600.0]),
        (rules.check_timeout, None),
        (rules.check_timeout, 0.1),
        (rules.check_timeout, 60.0),
    ],
)
def test_the_limits_themselves_are_accepted(check: Any, value: Any) -> None:
    check(value)
