"""URLs in the plainest spelling need no parser; whatever else is left to those who know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.sender.loop import target
from delivery.sender.transport import prepared_url
from delivery.slow import receiver_of
from subscriptions.addresses import ascii_url, origin_of
from subscriptions.plain_urls import plain_origin
from tests.unit.test_target_urls import ACCEPTED, HTTP, LOCAL, PRODUCTION, REFUSED

PLAIN = [
    ("https://example.com/", "https://example.com"),
    ("https://example.com:8443/hook", "https://example.com:8443"),
    ("http://127.0.0.1:64999/n/17", "http://127.0.0.1:64999"),
    ("http://127.0.0.1:36481/n/17", "http://127.0.0.1:36481"),
    ("https://hooks.example.com/a-b/~c_d/v1.0/?token=a-b&x=1", "https://hooks.example.com"),
]
CLOSER = [
    "https://example.com",
    "HTTPS://example.com/",
    "https://Example.com/",
    "https://example.com./",
    "https://.example.com/",
    "https://user@example.com/",
    "https://example.com:0/",
    "https://example.com:0443/",
    "https://example.com:/",
    "https://example.com:70000/",
    "https://example.com:65000/",
    "https://example.com/a/../b",
    "https://example.com/./a",
    "https://example.com/.a",
    "https://example.com//a",
    "https://example.com/?",
    "https://example.com/%7Ea",
    "https://example.com/a b",
    "https://example.com/a;b",
    "https://example.com/#a",
    "https://example.com/\\a",
    "https://example.com/a\n",
    "https://bücher.example/",
    "https://１２７.0.0.1/",
    "https://example.com/ü",
    "https://[::1]/",
    "ftp://example.com/",
    "//example.com/",
    "",
]


@pytest.mark.parametrize(("url", "origin"), PLAIN)
def test_of_a_plain_url_the_origin_is_seen(url: str, origin: str) -> None:
    assert plain_origin(url) == origin


@pytest.mark.parametrize("url", CLOSER)
def test_any_other_needs_a_closer_look(url: str) -> None:
    assert plain_origin(url) is None


@st.composite
def urls(draw: st.DrawFn) -> str:
    """URLs of parts that are plain, or nearly."""
    host = draw(
        st.sampled_from(
            "example.com a-b.example 127.0.0.1 127.1 0x7f.1 10.0.0.8 localhost a..b -a.de a-.de".split()
        )
        | st.text("ab1.-_E", min_size=1, max_size=12)
    )
    port = draw(st.sampled_from(["", ":80", ":443", ":8443", ":65535", ":65536", ":0", ":08", ":"]))
    path = draw(st.text("ab1./~-_%;+@ü\\ ", max_size=10))
    query = draw(st.just("") | st.text("?ab=&./~-%+# ", max_size=8))
    return f"{draw(st.sampled_from(['https', 'http', 'HTTP', 'ftp']))}://{host}{port}/{path}{query}"


@given(urls())
def test_whoever_takes_a_plain_url_apart_finds_what_is_seen_at_once(url: str) -> None:
    origin = plain_origin(url)
    if origin is None:
        return
    for rule in (PRODUCTION, HTTP, LOCAL):
        assert rule.refusal(origin) == rule.refusal(url)
    assert (ascii_url(url), prepared_url(url)) == (url, url)
    assert origin_of(origin) == origin_of(url)


@pytest.mark.parametrize("url", [*ACCEPTED, *(url for url, _ in REFUSED)])
def test_no_url_is_judged_otherwise_for_its_spelling(url: str) -> None:
    origin = plain_origin(url)

    assert origin is None or PRODUCTION.refusal(origin) == PRODUCTION.refusal(url)


def test_the_sender_and_the_list_of_slow_receivers_say_the_same_of_both() -> None:
    plain, same = "https://example.com/hook", "https://EXAMPLE.com:443/hook"

    assert receiver_of(plain) == receiver_of(same) == "https://example.com:443"
    assert str(target(plain)) == plain
    assert str(target("https://EXAMPLE.com/a/../hook")) == plain
