"""Which URLs may be registered, as far as their text tells. Nothing here resolves a name."""

import pytest

from subscriptions.addresses import TargetRule, same_origin

PRODUCTION = TargetRule.of(allow_http=False, networks=())
HTTP = TargetRule.of(allow_http=True, ports=["*"])
LOCAL = TargetRule.of(allow_http=True, networks=["127.0.0.0/8", "::1/128"], ports=["*"])

ACCEPTED = [
    "https://example.com",
    "https://example.com/",
    "HTTPS://EXAMPLE.COM/Hook",
    "https://example.com:8443/hook?token=a%20b&x=1",
    "https://example.com.:443/",
    "https://a.b.c.example.co.uk/hook/~user/@me",
    "https://bücher.example/ü",
    "https://xn--bcher-kva.example/",
    "https://123.example.com/",
    "https://1e100.net/",
    "https://hooks_in.example.com/",
    "https://8.8.8.8/hook",
    "https://[2606:4700:4700::1111]:8443/hook",
    "https://[::ffff:8.8.8.8]/hook",
    "https://localhost.example.com/",
    "https://example.com/?next=http://127.0.0.1/",
]

NOT_A_URL = "is not a valid URL"
SCHEME = "must start with https://"
NO_HOST = "has no host"
CHARACTERS = "must not contain blanks, control characters or backslashes"
USER = "must not contain a user name or password"
ADDRESS = "points to an address that is not allowed"
NUMBER = "has a host that looks like a number; write IP addresses in full"
ZONE = "must not contain a zone id or an escaped host"
NAME = "has a host name that is not valid"
LOCAL_NAME = "points to a name that is not public"

REFUSED = [
    ("http://example.com/", SCHEME),
    ("ftp://example.com/", SCHEME),
    ("file:///etc/passwd", SCHEME),
    ("javascript:alert(1)", SCHEME),
    ("gopher://example.com/", SCHEME),
    ("//example.com/", SCHEME),
    ("example.com/hook", SCHEME),
    ("https:", NO_HOST),
    ("https:///hook", NO_HOST),
    ("https:example.com", NO_HOST),
    ("https://:443/", NO_HOST),
    ("https://[::1", NOT_A_URL),
    ("https://[not-an-address]/", NOT_A_URL),
    ("https://[v1.a]/", NOT_A_URL),
    ("https://[v1.a:b]/", NOT_A_URL),
    ("https://evil[2606:4700:4700::1111]/", NOT_A_URL),
    ("https://[2606:4700:4700::1111]evil.example/", NOT_A_URL),
    ("https://example.com:99999/", NOT_A_URL),
    ("https://example.com:port/", NOT_A_URL),
    ("https://example.com:-1/", NOT_A_URL),
    ("https://example.com:0/", "must use port 443 or 8443"),
    ("https://user@example.com/", USER),
    ("https://user:secret@example.com/", USER),
    ("https://@example.com/", USER),
    ("https://example.com@169.254.169.254/", USER),
    ("https://169.254.169.254\\@example.com/", CHARACTERS),
    ("https://example.com\\.evil.example/", CHARACTERS),
    ("https://exam ple.com/", CHARACTERS),
    ("https://example.com/a b", CHARACTERS),
    ("https://example.com/\r\nX-Evil: 1", CHARACTERS),
    ("https://example.com/\n", CHARACTERS),
    ("ht\ttps://example.com/", CHARACTERS),
    ("https://example.com/\x00", CHARACTERS),
    ("https://example.com/\x7f", CHARACTERS),
    ("https://example.com/#top", "must not have a fragment"),
    ("https://example.com/#", "must not have a fragment"),
    ("https://127.0.0.1/", ADDRESS),
    ("https://10.0.0.1:8443/", ADDRESS),
    ("https://169.254.169.254/latest/meta-data", ADDRESS),
    ("https://[::1]/", ADDRESS),
    ("https://[::ffff:127.0.0.1]/", ADDRESS),
    ("https://[::ffff:a9fe:a9fe]/", ADDRESS),
    ("https://[64:ff9b::7f00:1]/", ADDRESS),
    ("https://[2002:7f00:1::]/", ADDRESS),
    ("https://0.0.0.0/", ADDRESS),
    ("https://2130706433/", NUMBER),
    ("https://0x7f000001/", NUMBER),
    ("https://0X7F.1/", NUMBER),
    ("https://017700000001/", NUMBER),
    ("https://0177.0.0.1/", NUMBER),
    ("https://127.1/", NUMBER),
    ("https://127.0.1/", NUMBER),
    ("https://127.0.0.1./", NUMBER),
    ("https://0x7f.0x0.0x0.0x1/", NUMBER),
    ("https://1.2.3.4.5/", NUMBER),
    ("https://127.0.0.0x/", NUMBER),
    ("https://example.123/", NUMBER),
    ("https://[fe80::1%25eth0]/", ZONE),
    ("https://[2606:4700:4700::1111%251]/", ZONE),
    ("https://127%2e0.0.1/", ZONE),
    ("https://%65xample.com/", ZONE),
    ("https://localhost/", LOCAL_NAME),
    ("https://LOCALHOST:8000/", LOCAL_NAME),
    ("https://localhost./", LOCAL_NAME),
    ("https://hook.localhost/", LOCAL_NAME),
    ("https://localhost.localdomain/", LOCAL_NAME),
    ("https://printer.local/", LOCAL_NAME),
    ("https://metadata.google.internal/", LOCAL_NAME),
    ("https://METADATA.google.INTERNAL./", LOCAL_NAME),
    ("https://intranet/", LOCAL_NAME),
    ("https://ｌｏｃａｌｈｏｓｔ/", LOCAL_NAME),
    ("https://a..example.com/", NAME),
    ("https://.example.com/", NAME),
    ("https://exa{mple.com/", NAME),
    ("https://exam\u200bple\u202e.com/", NAME),
    ("https://" + "a" * 64 + ".example/", NAME),
    ("https://" + ".".join(["a" * 60] * 5) + ".example/", NAME),
]

# Spellings of 127.0.0.1 and 10.0.0.1 that IDNA turns into digits and full stops.
DISGUISED = [
    "https://127。0。0。1/",
    "https://127．0．0．1/",
    "https://１２７。０。０。１/",
    "https://127.0.0.①/",
    "https://10.0.0.１/",
    "https://２１３０７０６４３３/",
    "https://0ｘ7f000001/",
]


@pytest.mark.parametrize("url", ACCEPTED)
def test_a_public_https_url_is_accepted(url: str) -> None:
    assert PRODUCTION.refusal(url) is None


@pytest.mark.parametrize(("url", "reason"), REFUSED, ids=[repr(url)[:60] for url, _ in REFUSED])
def test_a_url_is_refused_with_its_reason(url: str, reason: str) -> None:
    assert PRODUCTION.refusal(url) == reason


@pytest.mark.parametrize("url", DISGUISED)
def test_an_address_disguised_by_unicode_digits_or_dots_is_refused(url: str) -> None:
    assert PRODUCTION.refusal(url) is not None


def test_http_is_accepted_only_where_the_operator_allows_it() -> None:
    assert PRODUCTION.refusal("http://example.com/") == SCHEME
    assert HTTP.refusal("http://example.com/") is None
    assert HTTP.refusal("ftp://example.com/") == "must start with https:// or http://"


def test_allowing_http_does_not_allow_loopback() -> None:
    assert HTTP.refusal("http://127.0.0.1:9000/") == ADDRESS
    assert HTTP.refusal("http://localhost:9000/") == LOCAL_NAME


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "http://[::1]:9000/", "http://localhost:9000/", "http://LOCALHOST./"]
)
def test_loopback_is_accepted_where_the_operator_allows_it(url: str) -> None:
    assert LOCAL.refusal(url) is None


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://db.localhost/", "http://printer.local/"])
def test_allowing_loopback_allows_nothing_else(url: str) -> None:
    assert LOCAL.refusal(url) is not None


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://hooks.example/b?token=1", True),
        ("https://HOOKS.example.:443/", True),
        ("http://hooks.example/", False),
        ("https://hooks.example:8443/", False),
        ("https://evil.example/hooks.example", False),
        ("https://hooks.example.evil.example/", False),
        ("https://[v1.a]/", False),
        ("https://hooks.example:x/", False),
        ("", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, same: bool) -> None:
    assert same_origin(url, "https://hooks.example/a") is same_origin("https://hooks.example/a", url) is same


def test_what_is_no_url_has_no_origin() -> None:
    assert not same_origin("", "")
    assert same_origin("https://BÜCHER.example/", "https://xn--bcher-kva.example/")
    assert same_origin("https://[2606:4700:4700:0::1111]/", "https://[2606:4700:4700::1111]:443/")
