"""Which addresses and URLs may be targets. Pure: nothing here resolves a name."""

import ipaddress

import pytest

from subscriptions.addresses import TargetRule, normal_host, read_host, read_nat64_prefix, read_ports
from tests.guard.tables import METADATA, PUBLIC, REFUSED_ROWS

PRODUCTION = TargetRule.of(allow_http=False, networks=())
LOCAL = TargetRule.of(allow_http=True, networks=["127.0.0.0/8", "::1/128", "10.20.0.0/16", "fd00:1::/32"])

ZONED = ["fe80::1%eth0", "2606:4700:4700::1111%1", "::1%lo"]


def allows(rule: TargetRule, text: str) -> bool:
    return rule.allows_address(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert allows(PRODUCTION, text)


@pytest.mark.parametrize("text", [*(text for _, text in REFUSED_ROWS), *METADATA, *ZONED])
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    assert not allows(PRODUCTION, text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1", "private (10.0.0.0/8)"),
        ("::ffff:10.0.0.1", "holds 10.0.0.1: private (10.0.0.0/8)"),
        ("169.254.169.254", "link local (169.254.0.0/16), which no setting allows"),
        ("2002:a00:1::", "holds 10.0.0.1: private (10.0.0.0/8)"),
        ("2002:808:808::", "tunnel (2002::/16)"),
        ("fe80::1%1", "zone id"),
    ],
)
def test_staff_are_told_which_rule_refused_an_address(text: str, why: str) -> None:
    assert PRODUCTION.address_refusal(ipaddress.ip_address(text)) == why


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hooks.Example", "hooks.example"),
        ("*.corp.example", ".corp.example"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_an_allowed_host_is_a_name_or_a_suffix(text: str, normal: str) -> None:
    assert read_host(text) == normal


@pytest.mark.parametrize("text", ["*", "*.", "", "10.0.0.1", "a.*.b", "a/b", "a:443", "[::1]", "a..b", "*.1"])
def test_what_is_no_name_is_an_error_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        read_host(text)


def test_ports_are_numbers_ranges_or_all() -> None:
    assert [read_ports(text) for text in ("443", "8000-8999", "*")] == [
        range(443, 444),
        range(8000, 9000),
        range(1, 65536),
    ]


@pytest.mark.parametrize("text", ["", "0", "65536", "9-8", "a", "80,443", "-1", "1-", "443 "])
def test_what_is_no_port_is_an_error_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        read_ports(text)


@pytest.mark.parametrize("text", ["64:ff9b::/95", "10.0.0.0/8", "64:ff9b::1/96", "::/0", "nonsense"])
def test_what_is_no_translators_prefix_is_an_error_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|host bits|expected in|Expected"):
        read_nat64_prefix(text)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "10.20.255.255", "fd00:1:2::3", "::ffff:127.0.0.1"])
def test_the_operator_can_allow_networks(text: str) -> None:
    assert allows(LOCAL, text)


@pytest.mark.parametrize(
    "text", ["10.21.0.0", "10.19.255.255", "fd00:2::1", "192.168.0.1", "::1%lo", "::2", "169.254.169.254"]
)
def test_what_the_operator_did_not_allow_stays_refused(text: str) -> None:
    assert not allows(LOCAL, text)


def test_allowing_a_network_takes_no_public_address_away() -> None:
    assert allows(LOCAL, "8.8.8.8")
    assert allows(LOCAL, "2606:4700:4700::1111")


@pytest.mark.parametrize("text", ["10.1.0.0/33", "10.1.0.1/16", "office", "", "::/129"])
def test_a_network_that_is_none_is_an_error_when_the_settings_are_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        TargetRule.of(allow_http=False, networks=[text])


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example.", "xn--bcher-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("a_b.example", "a_b.example"),
    ],
)
def test_a_host_has_one_normal_form(host: str, normal: str) -> None:
    assert normal_host(host) == normal
