"""The operator's rule: may a webhook go to this address, this URL? Pure; the socket asks it again.

Registration refuses what can be seen in the text; `delivery/sender/connections.py` judges every
address that a name resolves to, at the moment of connecting.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import idna

from subscriptions import networks
from subscriptions.networks import IPAddress as IPAddress
from subscriptions.networks import IPNetwork

LOCAL_SUFFIXES = ("localhost", "local", "internal", "localdomain")
DEFAULT_PORTS = ("443", "8443")
ANY_PORT = "*"
PORT_MAX = 65535
_PORTS_OF_SCHEMES = {"https": 443, "http": 80}
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")
HOST_MAX_CHARACTERS = 253
LABEL_MAX_CHARACTERS = 63
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, kw_only=True)
class TargetRule:
    """What the operator allows and refuses beyond the tables of `subscriptions/networks.py`."""

    allow_http: bool
    allowed_networks: tuple[IPNetwork, ...]
    #: normal names, or suffixes that begin with a full stop
    allowed_hosts: tuple[str, ...]
    allowed_ports: tuple[range, ...]
    refused_networks: tuple[IPNetwork, ...]
    nat64_prefixes: tuple[ipaddress.IPv6Network, ...]

    @classmethod
    def of(
        cls,
        *,
        allow_http: bool,
        networks: Sequence[str] = (),
        hosts: Sequence[str] = (),
        ports: Sequence[str] = DEFAULT_PORTS,
        refused_networks: Sequence[str] = (),
        nat64_prefixes: Sequence[str] = (),
    ) -> "TargetRule":
        """Read the settings' texts; raises ValueError naming the text that makes no sense."""
        return cls(
            allow_http=allow_http,
            allowed_networks=tuple(ipaddress.ip_network(text) for text in networks),
            allowed_hosts=tuple(read_host(text) for text in hosts),
            allowed_ports=tuple(read_ports(text) for text in ports),
            refused_networks=tuple(ipaddress.ip_network(text) for text in refused_networks),
            # The narrowest first: it is the one that the translator follows.
            nat64_prefixes=tuple(
                sorted(map(read_nat64_prefix, nat64_prefixes), key=lambda p: p.prefixlen, reverse=True)
            ),
        )

    def address_refusal(self, address: IPAddress, *, host_allowed: bool = False) -> str | None:
        """Which rule forbids a socket to `address`, for staff; None if none does.

        `host_allowed`: it was found under a name that the operator allows.
        """
        inner: Iterable[ipaddress.IPv4Address] = ()
        if isinstance(address, ipaddress.IPv6Address):
            # Mapped or behind the operator's translator it is an IPv4 address and nothing else.
            outer = address.ipv4_mapped or networks.behind_nat64(address, self.nat64_prefixes)
            if outer is not None and address.scope_id is None:
                return self._inner_refusal(outer, host_allowed)
            inner = networks.embedded(address)
        if refusal := self._always_refused(address):
            return refusal
        for each in inner:
            if refusal := self._inner_refusal(each, host_allowed):
                return refusal
        if host_allowed or _in_one_of(self.allowed_networks, address):
            return None
        return networks.kind_in(networks.NOT_PUBLIC, address)

    def _always_refused(self, address: IPAddress) -> str | None:
        """Why no allowed network or host opens this address, or None."""
        if isinstance(address, ipaddress.IPv6Address):
            if address.scope_id is not None:
                return "zone id"
            if address in networks.LOCAL_NAT64:
                return "NAT64 prefix that WEBHOOK_NAT64_PREFIXES does not name"
        if kind := networks.kind_in(networks.METADATA, address):
            return f"{kind}, which no setting allows"
        return "WEBHOOK_REFUSED_NETWORKS" if _in_one_of(self.refused_networks, address) else None

    def _inner_refusal(self, inner: ipaddress.IPv4Address, host_allowed: bool) -> str | None:
        refusal = self.address_refusal(inner, host_allowed=host_allowed)
        return refusal and f"holds {inner}: {refusal}"

    def allows_address(self, address: IPAddress) -> bool:
        return self.address_refusal(address) is None

    def allows_host(self, host: str) -> bool:
        """Is it a name that may resolve to addresses which are not public?"""
        try:
            name = normal_host(host)
        except idna.IDNAError:
            return False
        return any(name.endswith(h) if h.startswith(".") else name == h for h in self.allowed_hosts)

    def allows_port(self, port: int) -> bool:
        return any(port in ports for ports in self.allowed_ports)

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
        if "@" in parts.netloc:
            return "must not contain a user name or password"
        if "[" in parts.netloc and not (_BRACKETED.fullmatch(parts.netloc) and literal_address(host)):
            # RFC 3986's addresses of versions to come, too: nothing connects to them.
            return "is not a valid URL"
        if parts.fragment or url.endswith("#"):
            return "must not have a fragment"
        port = _PORTS_OF_SCHEMES[parts.scheme] if port is None else port
        return self._host_refusal(host) or self._port_refusal(port)

    def _port_refusal(self, port: int) -> str | None:
        if self.allows_port(port):
            return None
        ports = [str(r.start) if len(r) == 1 else f"{r.start}-{r.stop - 1}" for r in self.allowed_ports]
        return "must use port " + " or ".join(filter(None, (", ".join(ports[:-1]), *ports[-1:])))

    def _host_refusal(self, host: str) -> str | None:
        """Judges the host as the resolver will see it: after Unicode's digits and dots became ASCII."""
        if "%" in host:
            return "must not contain a zone id or an escaped host"
        try:
            normal = host if ":" in host else normal_host(host)
        except idna.IDNAError:
            return "has a host name that is not valid"
        # No resolver takes an address with a trailing dot.
        address = None if host.endswith(".") else literal_address(normal)
        if address is not None:
            return None if self.allows_address(address) else "points to an address that is not allowed"
        labels = normal.split(".")
        if _NUMERIC_LABEL.fullmatch(labels[-1]):
            return "has a host that looks like a number; write IP addresses in full"
        if (labels[-1] in LOCAL_SUFFIXES or len(labels) == 1) and not self.allows_host(normal):
            loopback = ipaddress.ip_address("127.0.0.1")
            if not (labels == ["localhost"] and self.allows_address(loopback)):
                return "points to a name that is not public"
        return None


def literal_address(host: str) -> IPAddress | None:
    """The address that `host` is; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
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


def ascii_url(url: str) -> str:
    """The URL with its host in the normal form, where it has letters beyond ASCII.

    HTTP libraries read such names more strictly, each in its own way. What is no URL stays as it is.
    """
    try:
        parts = urlsplit(url)
        if parts.hostname is None or parts.hostname.isascii():
            return url
        port = "" if parts.port is None else f":{parts.port}"
        return url.replace(parts.netloc, normal_host(parts.hostname) + port, 1)
    except ValueError:
        return url


def same_origin(url: str, other: str) -> bool:
    """Do both have one scheme, host and port, however they are written? What is no URL has none."""
    origin = origin_of(url)
    return origin is not None and origin == origin_of(other)


def origin_of(url: str) -> str | None:
    """The receiver that the URL names: `scheme://host:port` in one form, however it is written."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if not host or parts.scheme not in _PORTS_OF_SCHEMES:
            return None
        address = literal_address(host)
        name = normal_host(host) if address is None else str(address)
    except ValueError:
        return None
    if address is not None and address.version == 6:
        name = f"[{name}]"
    return f"{parts.scheme}://{name}:{_PORTS_OF_SCHEMES[parts.scheme] if port is None else port}"


def read_host(text: str) -> str:
    """`hooks.example` or `*.example`; the latter is kept as `.example`."""
    name = text.removeprefix("*.")
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]) or not re.fullmatch(r"[\w.-]+", name):
        raise ValueError(f"{text!r} is no host name")
    try:
        normal = normal_host(name)
    except idna.IDNAError:
        raise ValueError(f"{text!r} is no host name") from None
    return normal if name == text else f".{normal}"


def read_ports(text: str) -> range:
    """`443`, `1024-65535` or `*`."""
    if text == ANY_PORT:
        return range(1, PORT_MAX + 1)
    match = _PORTS.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 0 < first <= last <= PORT_MAX:
        raise ValueError(f"{text!r} is no port or range of ports")
    return range(first, last + 1)


def read_nat64_prefix(text: str) -> ipaddress.IPv6Network:
    prefix = ipaddress.IPv6Network(text)
    if prefix.prefixlen not in networks.NAT64_PREFIX_LENGTHS:
        raise ValueError(f"{text!r} is no NAT64 prefix: its length must be 32, 40, 48, 56, 64 or 96")
    return prefix


def _in_one_of(among: Sequence[IPNetwork], address: IPAddress) -> bool:
    return any(network.version == address.version and address in network for network in among)
