"""Which addresses and URLs may be targets. Pure: nothing here resolves a name."""

import ipaddress

import pytest

from subscriptions.addresses import TargetRule, normal_host

PRODUCTION = TargetRule.of(allow_http=False, networks=())
LOCAL = TargetRule.of(allow_http=True, networks=["127.0.0.0/8", "::1/128", "10.20.0.0/16", "fd00:1::/32"])

PUBLIC = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0
    198.17.255.255 198.20.0.0 203.0.112.255 203.0.114.0 223.255.255.255 168.63.129.15 168.63.129.17
    2606:4700:4700::1111 2a00:1450:4001:80b::200e 2001:200::1 2001:db7::1 2001:db9::1 2003::1 3ffe::1
    ::ffff:8.8.8.8 ::ffff:0808:0808
""".split()

REFUSED = {
    "this network": "0.0.0.0 0.0.0.1 0.255.255.255",
    "private": "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255",
    "shared by carriers": "100.64.0.0 100.100.100.200 100.127.255.255",
    "loopback": "127.0.0.1 127.1.2.3 127.255.255.255 ::1",
    "link-local": "169.254.0.1 169.254.169.254 169.254.255.255 fe80::1 febf::1",
    "protocol assignments": "192.0.0.1 192.0.0.170 192.31.196.1 192.52.193.1 192.175.48.1",
    "documentation": "192.0.2.1 198.51.100.1 203.0.113.255 2001:db8::1 3fff::1 3fff:fff::1",
    "benchmarks": "198.18.0.1 198.19.255.255 2001:2::1",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
    "reserved": "240.0.0.1 255.255.255.254 255.255.255.255",
    "one cloud's host channel": "168.63.129.16",
    "unspecified": ":: ::0",
    "unique local": "fc00::1 fd00:ec2::254 fdff:ffff::1",
    "site-local": "fec0::1",
    "mapped": "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:7f00:1 ::ffff:0:0",
    "compatible": "::127.0.0.1 ::8.8.8.8 ::a00:1",
    "translated (NAT64)": "64:ff9b::a00:1 64:ff9b::8.8.8.8 64:ff9b:1::1",
    "6to4": "2002:7f00:1::1 2002:a00:1::1 2002:808:808::1 192.88.99.1",
    "Teredo": "2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "ORCHID": "2001:10::1 2001:20::1",
    "discard only": "100::1",
    "segment routing": "5f00::1",
    "AS112": "2620:4f:8000::1",
    "not global unicast": "1fff::1 4000::1 8000::1 e000::1",
    "with a zone": "fe80::1%eth0 2606:4700:4700::1111%1 ::1%lo",
}
REFUSED_ROWS = [(kind, text) for kind, texts in REFUSED.items() for text in texts.split()]


def allows(rule: TargetRule, text: str) -> bool:
    return rule.allows_address(ipaddress.ip_address(text))


def test_the_tables_have_at_least_a_hundred_addresses() -> None:
    assert len(PUBLIC) + len(REFUSED_ROWS) >= 100


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_allowed(text: str) -> None:
    assert allows(PRODUCTION, text)


@pytest.mark.parametrize(("kind", "text"), REFUSED_ROWS, ids=[f"{k}: {t}" for k, t in REFUSED_ROWS])
def test_an_address_that_is_not_public_is_refused(kind: str, text: str) -> None:
    assert not allows(PRODUCTION, text), kind


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
