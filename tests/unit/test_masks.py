"""What is shown of URLs, and what is found of secrets in what a receiver sends back."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions import masks

SECRET = "s3cr3t/with+odd=characters&ümlaut"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/path", "https://example.com/path"),
        ("https://example.com/path?", "https://example.com/path?"),
        ("https://example.com/p?token=abc", "https://example.com/p?token=***"),
        ("https://example.com/p?a=1&b=2&a=3", "https://example.com/p?a=***&b=***&a=***"),
        ("https://example.com/p?a=b=c", "https://example.com/p?a=***"),
        ("https://example.com/p?a=1;b=2", "https://example.com/p?a=***"),
        ("https://example.com/p?a=x?y=z", "https://example.com/p?a=***"),
        ("https://example.com/p?empty=&a=1", "https://example.com/p?empty=&a=***"),
        ("https://example.com/p?&&a=1&", "https://example.com/p?&&a=***&"),
        ("https://example.com/p?baretoken", "https://example.com/p?***"),
        ("https://user:pw@example.com/p", "https://***@example.com/p"),
        ("https://a@b@example.com/p", "https://***@example.com/p"),
        ("//user:pw@example.com/p", "//***@example.com/p"),
        ("https://example.com/p@q?x=@", "https://example.com/p@q?x=***"),
        ("https://example.com/p#access_token=abc", "https://example.com/p#***"),
        ("https://example.com/p?a=1#b=2", "https://example.com/p?a=***#***"),
        ("https://[::1/p?token=abc", "https://[::1/p?token=***"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_values(url: str, shown: str) -> None:
    assert masks.shown_url(url) == shown
    assert masks.shown_url(shown) == shown, "what is shown can be shown again"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://example.com/?a=***", True),
        ("https://example.com/?***", True),
        ("https://example.com/?a=1&b=***#c", True),
        ("https://example.com/***", False),
        ("https://example.com/?a=****", False),
    ],
)
def test_a_url_that_was_copied_masked_is_recognised(url: str, masked: bool) -> None:
    assert masks.is_masked(url) is masked


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET).lower(),
        json.dumps({"got": SECRET}),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"x{SECRET}y".encode()).decode(),
        base64.b64encode(f"Authorization: {SECRET}, and more".encode()).decode(),
        f"{SECRET}{SECRET}",
    ],
)
def test_a_secret_is_found_in_the_forms_that_programs_write(echo: str) -> None:
    answer = masks.without(f"<<{echo}>>", masks.forms_of([SECRET]))

    assert masks.MASKED in answer
    left = answer.replace(masks.MASKED, "")
    longest = max(
        (n for n in range(len(echo)) for at in range(len(echo) - n) if echo[at : at + n] in left), default=0
    )
    # What surrounds it in base64, and its last letters that depend on what follows.
    assert longest < 32
    assert SECRET[:8] not in left


@given(st.text('aZ09-._~+/=% "\\ü', min_size=masks.ECHO_MIN_CHARACTERS))
def test_whatever_its_characters_it_is_found_as_json_and_urls_have_it(secret: str) -> None:
    spelled = {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret), quote_plus(secret)}

    assert spelled <= set(masks.forms_of([secret]))


@pytest.mark.parametrize("length", range(4, len(SECRET)))
def test_a_secret_that_was_cut_off_at_the_end_is_masked(length: int) -> None:
    assert masks.without(f"you sent {SECRET[:length]}", masks.forms_of([SECRET])) == "you sent ***"


def test_a_key_is_found_without_its_prefix_and_the_seed_of_a_pair_too() -> None:
    key = base64.b64encode(bytes(range(64))).decode()

    for prefix in masks.KEY_PREFIXES:
        forms = masks.forms_of([prefix + key])
        assert masks.without(f"{key} {prefix}{key}", forms) == "*** ***"
        assert masks.without(key[:43] + "=", forms).startswith("***")


def test_the_token_of_an_authorization_header_is_found_alone() -> None:
    forms = masks.forms_of(["Bearer abcdefghijkl"])

    assert masks.without('{"token": "abcdefghijkl", "scheme": "Bearer"}', forms) == (
        '{"token": "***", "scheme": "Bearer"}'
    )


def test_values_of_a_query_are_looked_for_as_they_stand_and_as_they_are_meant() -> None:
    url = "https://example.com/?token=abc%2Fdefghi&pin=1234&on=yes&barebarebare#x"

    assert masks.secrets_of_url(url) == [
        *("abc%2Fdefghi", "abc/defghi"),
        *("1234", "1234"),
        *("barebarebare", "barebarebare"),
    ]


def test_short_texts_and_texts_without_secrets_stay_as_they_are() -> None:
    assert masks.forms_of(["abc", ""]) == ()
    assert masks.without("all is well", masks.forms_of([SECRET])) == "all is well"
    assert masks.without("", masks.forms_of([SECRET])) == ""
