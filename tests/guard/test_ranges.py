"""Each address at the real socket: a name that resolves to it, and the address in the URL."""

from ipaddress import ip_address

import pytest

from delivery.sender import NoAnswer
from tests.guard.conftest import Sender, TextBlind, assert_refused
from tests.guard.tables import METADATA, PUBLIC, REFUSED, REFUSED_ROWS, ZONED
from tests.integration.test_sender import post
from tests.sockets import Resolver

ALL_REFUSED = [*REFUSED_ROWS, *(("metadata", text) for text in METADATA)]
EVERYWHERE = {"networks": ["0.0.0.0/0", "::/0"], "hosts": ["*.example"]}
Connected = list[tuple[str, int]]


def url_of(text: str) -> str:
    return f"https://[{text}]/hook" if ":" in text else f"https://{text}/hook"


def unmapped(text: str) -> str:
    return "8.8.8.8" if text.startswith("::ffff:") else str(ip_address(text))


def test_the_tables_have_at_least_a_hundred_and_fifty_addresses() -> None:
    assert len(PUBLIC) + len(ALL_REFUSED) + len(ZONED) >= 150
    assert len(set(PUBLIC + [text for _, text in ALL_REFUSED])) == len(PUBLIC) + len(ALL_REFUSED)


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_the_one_that_is_connected_to(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)

    result = post(sender(), "https://hooks.example/")

    assert isinstance(result, NoAnswer)
    assert not result.refused, result
    assert connected == [(unmapped(text), 443)]


@pytest.mark.parametrize(("kind", "text"), ALL_REFUSED, ids=[f"{k}: {t}" for k, t in ALL_REFUSED])
def test_a_name_that_resolves_to_a_refused_address_is_not_connected_to(
    sender: Sender, resolver: Resolver, connected: Connected, kind: str, text: str
) -> None:
    resolver.says(text)

    assert_refused(post(sender(), "https://hooks.example/"), ":")
    assert connected == []


@pytest.mark.parametrize("rule", [TextBlind, None], ids=["by the socket alone", "by its text"])
@pytest.mark.parametrize(("kind", "text"), ALL_REFUSED, ids=[f"{k}: {t}" for k, t in ALL_REFUSED])
def test_a_url_with_a_refused_address_is_not_connected_to(
    sender: Sender, connected: Connected, kind: str, text: str, rule: type[TextBlind] | None
) -> None:
    transport = sender(rule=rule) if rule else sender()

    assert_refused(post(transport, url_of(text)))
    assert connected == []


@pytest.mark.parametrize("text", ZONED)
def test_an_address_with_a_zone_is_refused_even_where_everything_is_allowed(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)

    assert_refused(post(sender(**EVERYWHERE), "https://hooks.example/"), "zone id")
    assert_refused(post(sender(**EVERYWHERE), url_of(text.replace("%", "%25"))), "zone id")
    assert isinstance(post(sender(rule=TextBlind, **EVERYWHERE), url_of(text)), NoAnswer)
    assert connected == []


@pytest.mark.parametrize("text", METADATA)
def test_nothing_that_an_operator_allows_opens_a_metadata_address(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)
    transport = sender(**EVERYWHERE)

    assert_refused(post(transport, "https://hooks.example/"), ":")
    assert_refused(post(transport, url_of(text)))
    assert connected == []


INSIDE = "mapped compatible translated NAT64 6to4 ISATAP".split()
HIDDEN = [t for kind in INSIDE for t in REFUSED[kind].split() if "8.8.8.8" not in t and "808:808" not in t]


@pytest.mark.parametrize("text", [text for text in HIDDEN if text != "192.88.99.1"])
def test_allowing_all_of_ipv6_is_no_way_around_what_is_refused_of_ipv4(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)

    assert_refused(post(sender(networks=["::/0"]), "https://hooks.example/"))
    assert connected == []


@pytest.mark.parametrize("text", ["10.20.0.1", "10.20.255.255", "fd12:1::1", "2002:808:808::1"])
def test_the_operator_can_allow_networks(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)

    post(sender(networks=["10.20.0.0/16", "fd12:1::/32", "2002::/16"]), "https://hooks.example/")

    assert connected == [(text, 443)]


@pytest.mark.parametrize("text", ["10.19.255.255", "10.21.0.0", "fd12:2::1", "192.168.0.1", "127.0.0.1"])
def test_what_the_operator_did_not_allow_stays_refused(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)

    result = post(sender(networks=["10.20.0.0/16", "fd12:1::/32"]), "https://hooks.example/")

    assert_refused(result, f"{text}: ")
    assert connected == []


@pytest.mark.parametrize("text", ["93.184.216.34", "::ffff:93.184.216.34", "2606:2800:220::1", "10.20.1.1"])
def test_the_operators_own_public_addresses_can_be_refused_and_nothing_allows_them_again(
    sender: Sender, resolver: Resolver, connected: Connected, text: str
) -> None:
    resolver.says(text)
    own = ["93.184.216.0/24", "2606:2800:220::/48", "10.20.1.0/24"]

    result = post(sender(refused_networks=own, **EVERYWHERE), "https://hooks.example/")

    assert_refused(result, "WEBHOOK_REFUSED_NETWORKS")
    assert connected == []


# RFC 6052, 2.4: 192.0.2.33 under prefixes of each length; here 8.8.8.8, 10.0.0.1 and 169.254.169.254.
NAT64 = {
    "2620:db8::/32": ("2620:db8:808:808::", "2620:db8:a00:1::", "2620:db8:a9fe:a9fe::"),
    "2620:db8:100::/40": ("2620:db8:108:808:8::", "2620:db8:10a:0:1::", "2620:db8:1a9:fea9:fe::"),
    "2620:db8:122::/48": (
        "2620:db8:122:808:8:800::",
        "2620:db8:122:a00:0:100::",
        "2620:db8:122:a9fe:a9:fe00::",
    ),
    "2620:db8:122:300::/56": (
        "2620:db8:122:308:8:808::",
        "2620:db8:122:30a:0:1::",
        "2620:db8:122:3a9:fe:a9fe::",
    ),
    "2620:db8:122:344::/64": (
        "2620:db8:122:344:8:808:800:0",
        "2620:db8:122:344:a:0:100:0",
        "2620:db8:122:344:a9:fea9:fe00:0",
    ),
    "2620:db8:122:344::/96": (
        "2620:db8:122:344::8.8.8.8",
        "2620:db8:122:344::10.0.0.1",
        "2620:db8:122:344::169.254.169.254",
    ),
    "64:ff9b::/96": ("64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254"),
    "64:ff9b:1:fffe::/96": (
        "64:ff9b:1:fffe::8.8.8.8",
        "64:ff9b:1:fffe::10.0.0.1",
        "64:ff9b:1:fffe::169.254.169.254",
    ),
}
NAT64_ROWS = [(prefix, *texts) for prefix, texts in NAT64.items()]


@pytest.mark.parametrize(("prefix", "public", "private", "metadata"), NAT64_ROWS, ids=NAT64)
def test_behind_the_operators_translator_the_ipv4_address_inside_is_judged(
    sender: Sender,
    resolver: Resolver,
    connected: Connected,
    prefix: str,
    public: str,
    private: str,
    metadata: str,
) -> None:
    for text in (public, private, metadata, metadata):
        resolver.says(text)
    transport = sender(nat64_prefixes=[prefix])

    result = post(transport, "https://hooks.example/")
    assert isinstance(result, NoAnswer)
    assert not result.refused
    assert len(connected) == 1
    assert_refused(post(transport, "https://hooks.example/"), "holds 10.0.0.1: private")
    assert_refused(post(transport, "https://hooks.example/"), "holds 169.254.169.254: link local")
    assert_refused(post(sender(nat64_prefixes=[prefix], **EVERYWHERE), "https://hooks.example/"))
    assert len(connected) == 1
