"""Facts about addresses: what is not public, what is never a target, and IPv4 inside IPv6. Pure.

The standard library's `is_global` calls several of these public (multicast, NAT64, 6to4, the host
channel of one cloud) and differs between versions of Python, so the tables are explicit. Sources:
IANA's registries of special-purpose addresses, and the clouds' documentation.
"""

import ipaddress
from collections.abc import Iterator, Sequence

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Table = tuple[tuple[str, IPNetwork], ...]


def _table(**rows: str) -> Table:
    """(kind, network) pairs."""
    return tuple(
        (kind.replace("_", " "), ipaddress.ip_network(text))
        for kind, texts in rows.items()
        for text in texts.split()
    )


# Refused even if the operator allows a network around them: who reaches these gets the credentials
# of the machine that the worker runs on.
METADATA = _table(
    link_local="169.254.0.0/16 fe80::/10",
    # Alibaba, Oracle, Azure's host channel; in IPv6 AWS, Google, Oracle, Scaleway, Akamai, Alibaba.
    cloud_metadata="100.100.100.200 192.0.0.192 168.63.129.16 fd00:ec2::/32 fd20:ce::254 fd00:c1::a9fe:a9fe "
    "fd00:42::42 fd00:a9fe:a9fe::1 fd00:100::100:200",
)
# Refused unless the operator allows a network around them.
NOT_PUBLIC = _table(
    this_network="0.0.0.0/8",
    private="10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
    shared_by_carriers="100.64.0.0/10",
    loopback="127.0.0.0/8 ::1",
    protocol_assignments="192.0.0.0/24 2001::/23",
    documentation="192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    AS112="192.31.196.0/24 192.175.48.0/24 2620:4f:8000::/48",
    AMT="192.52.193.0/24",
    benchmarks="198.18.0.0/15",
    multicast="224.0.0.0/4 ff00::/8",
    reserved="240.0.0.0/4",
    unspecified="::",
    NAT64="64:ff9b::/96 64:ff9b:1::/48",
    tunnel="192.88.99.0/24 2002::/16",
    unique_local="fc00::/7",
    # Of IPv6 only 2000::/3 is used for public hosts: ::/3 without it.
    not_global_unicast="::/3 4000::/2 8000::/1",
)

# RFC 6052: where the IPv4 address begins, in bits; the octet from bit 64 on is left out.
NAT64_PREFIX_LENGTHS = (32, 40, 48, 56, 64, 96)
LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
WELL_KNOWN_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_TRAILING = (
    ipaddress.IPv6Network("::/96"),  # IPv4-compatible
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # translated (SIIT)
    WELL_KNOWN_NAT64,
)
_COMPATIBLE_NO_MORE = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))
_ISATAP = (0x00005EFE, 0x02005EFE)


def kind_in(table: Table, address: IPAddress) -> str | None:
    """The row that holds `address`, in words: "private (10.0.0.0/8)"."""
    for kind, network in table:
        if network.version == address.version and address in network:
            return f"{kind} ({network})"
    return None


def behind_nat64(
    address: ipaddress.IPv6Address, prefixes: Sequence[ipaddress.IPv6Network]
) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translator of the operator's would turn this one into."""
    for prefix in prefixes:
        if address in prefix:
            bits = f"{int(address):0128b}"
            rest = (
                bits[prefix.prefixlen :]
                if prefix.prefixlen == 96
                else bits[prefix.prefixlen : 64] + bits[72:]
            )
            return ipaddress.IPv4Address(int(rest[:32], 2))
    return None


def embedded(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """IPv4 addresses that a tunnel or translator on the way could turn this one into."""
    low = int(address) & 0xFFFFFFFF
    if address not in _COMPATIBLE_NO_MORE and any(address in network for network in _TRAILING):
        yield ipaddress.IPv4Address(low)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield ipaddress.IPv4Address(low)
