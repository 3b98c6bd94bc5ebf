"""The rule: may a webhook go to this address, this URL? Pure; the socket asks it again.

Registration refuses what can be seen in the text; `delivery/sender/transport.py` judges every
address that a name resolves to, at the moment of connecting.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# The standard library's `is_global` calls several of these public (multicast, NAT64, 6to4, the
# host channel of one cloud), so the table is explicit. Sources: IANA's special-purpose registries.
REFUSED_NETWORKS: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
# Of IPv6 only global unicast is used for public hosts; all else is refused without naming it.
GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
LOCAL_SUFFIXES = ("localhost", "local", "internal", "localdomain")
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")
HOST_MAX_CHARACTERS = 253
LABEL_MAX_CHARACTERS = 63
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")


class AddressRefused(Exception):
    """The operator's rule does not allow this target; tenants see one fixed text."""


@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """The operator's rule: which schemes, and which otherwise refused networks are allowed."""

    allow_http: bool
    allowed_networks: tuple[IPNetwork, ...]

    @classmethod
    def of(cls, *, allow_http: bool, networks: Sequence[str]) -> "TargetRule":
        """Read the settings' texts; raises ValueError naming a network that is none."""
        return cls(
            allow_http=allow_http,
            allowed_networks=tuple(ipaddress.ip_network(text) for text in networks),
        )

    def allows_address(self, address: IPAddress) -> bool:
        """May a socket be opened to `address`? IPv4 inside IPv6 is judged as IPv4."""
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return False
            if address.ipv4_mapped is not None:
                return self.allows_address(address.ipv4_mapped)
        if any(address in network for network in self.allowed_networks if network.version == address.version):
            return True
        if isinstance(address, ipaddress.IPv6Address) and address not in GLOBAL_UNICAST_V6:
            return False
        return not any(
            address in network for network in REFUSED_NETWORKS if network.version == address.version
        )

    def refusal(self, url: str) -> str | None:
        """Why `url` cannot be a target as far as its text tells, or None. Resolves nothing."""
        if _FORBIDDEN.search(url):
            return "must not contain blanks, control characters or backslashes"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return "is not a valid URL"
        schemes = ("https", "http") if self.allow_http else ("https",)
        if parts.scheme not in schemes:
            return f"must start with {' or '.join(scheme + '://' for scheme in schemes)}"
        if not host:
            return "has no host"
        if port == 0:
            return "must not use port 0"
        if "@" in parts.netloc:
            return "must not contain a user name or password"
        if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
            return "is not a valid URL"
        if parts.fragment or url.endswith("#"):
            return "must not have a fragment"
        return self._host_refusal(host)

    def _host_refusal(self, host: str) -> str | None:
        """Judges the host as the resolver will see it: after Unicode's digits and dots became ASCII."""
        if "%" in host:
            return "must not contain a zone id or an escaped host"
        try:
            normal = host if ":" in host else normal_host(host)
        except idna.IDNAError:
            return "has a host name that is not valid"
        try:
            # No resolver takes an address with a trailing dot.
            address: IPAddress | None = None if host.endswith(".") else ipaddress.ip_address(normal)
        except ValueError:
            address = None
        if address is not None:
            return None if self.allows_address(address) else "points to an address that is not allowed"
        labels = normal.split(".")
        if _NUMERIC_LABEL.fullmatch(labels[-1]):
            return "has a host that looks like a number; write IP addresses in full"
        if labels[-1] in LOCAL_SUFFIXES or len(labels) == 1:
            loopback = ipaddress.ip_address("127.0.0.1")
            if not (labels == ["localhost"] and self.allows_address(loopback)):
                return "points to a name that is not public"
        return None


def normal_host(host: str) -> str:
    """Lower case, IDNA-encoded, without the trailing dot; raises idna.IDNAError.

    Underscores, which names in use have and IDNA has not, pass; lengths are those of RFC 1035.
    """
    bare = idna.uts46_remap(host, std3_rules=False).lower().removesuffix(".")
    if not re.fullmatch(r"[a-z0-9_.-]+", bare):
        bare = idna.encode(bare).decode()
    labels = bare.split(".")
    if len(bare) > HOST_MAX_CHARACTERS or not all(0 < len(label) <= LABEL_MAX_CHARACTERS for label in labels):
        raise idna.IDNAError("a label or the name is empty or too long")
    return bare
