"""The guards of connections on an event loop: where names are resolved, sockets made and answers read."""

import asyncio
import ipaddress
import select
import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from delivery.phases import CONNECT, DNS, TLS
from delivery.sender.connections import HEAD_MAX_BYTES, Exchange, judged
from delivery.sender.loop_lookups import LoopLookups
from delivery.sender.result import refusal
from subscriptions.addresses import IPAddress, literal_address

# Of one answer, framing and interim answers included. Of a long body nobody reads so much: reading stops at
# what is kept, and aiohttp stops the receiver at READ_AHEAD_BYTES.
ANSWER_MAX_BYTES = HEAD_MAX_BYTES


@dataclass(frozen=True)
class Running:
    """An exchange, and the addresses that were judged for it."""

    exchange: Exchange
    allowed: set[IPAddress] = field(default_factory=set)


# Of the task that carries it out, and of those that aiohttp makes for it.
running_exchange: ContextVar[Running] = ContextVar("running")


class GuardedHandler(ResponseHandler):
    """aiohttp's protocol of one connection, with an end to what one answer may send, and when.

    aiohttp bounds a line and a field, but neither interim answers nor the extensions of chunks. What comes
    while no request is out it keeps, as the answer of the next one: here the connection ends with it, also if
    the event loop has not yet seen it when the next request takes the connection (a look costs 1 µs).
    """

    received = 0
    is_idle = False
    """A new connection is not: some receivers that are busy answer before they are asked."""

    def __init__(self, *args: Any, **values: Any) -> None:
        super().__init__(*args, **values)
        # It is made when its socket is connected.
        running_exchange.get().exchange.clock.begin(TLS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        clock = running_exchange.get().exchange.clock
        clock.end()
        if transport.get_extra_info("ssl_object") is None:
            clock.forget(TLS)
        peer = ipaddress.ip_address(transport.get_extra_info("peername")[0])
        allowed = running_exchange.get().allowed
        # The second lock: whatever went wrong on the way here, nothing is sent to anybody else.
        if peer not in allowed:
            self.set_exception(refusal(f"{peer}: connected to instead of {', '.join(map(str, allowed))}"))
            cast(asyncio.Transport, transport).abort()

    def is_connected(self) -> bool:
        """Asked by the pool before it hands the connection out."""
        return super().is_connected() and not (self.is_idle and self._has_unread())

    def _has_unread(self) -> bool:
        """An answer to nothing, or a farewell. A ticket of TLS looks the same, and costs a connection."""
        unread = select.poll()  # select() itself knows no file numbers beyond 1023
        unread.register(cast(asyncio.Transport, self.transport).get_extra_info("socket"), select.POLLIN)
        return bool(unread.poll(0))

    def set_response_params(self, **values: Any) -> None:
        """Called for each request that goes out here."""
        self.received, self.is_idle = 0, False
        super().set_response_params(**values)

    def data_received(self, data: bytes) -> None:
        if self.is_idle:
            self.abort()  # so the pool no longer hands it out
            return
        self.received += len(data)
        if self.received > ANSWER_MAX_BYTES:
            self.set_exception(aiohttp.ClientPayloadError("the answer is too long"))
            cast(asyncio.Transport, self.transport).abort()
        else:
            super().data_received(data)
        # aiohttp tells whoever waits for an answer, but not who waits for the rest of its body.
        if self.exception() is not None and self._payload is not None and self._payload.exception() is None:
            self._payload.set_exception(aiohttp.ClientPayloadError("the answer is not valid"))


class GuardedConnector(aiohttp.TCPConnector):
    """A pool of such connections."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        handler: Any = GuardedHandler
        self._factory = partial(handler, loop=self._loop)

    def _release(self, key: Any, protocol: Any, **values: Any) -> None:
        protocol.is_idle = True
        super()._release(key, protocol, **values)


class JudgingResolver(AbstractResolver):
    """One refused address among the answers refuses the name."""

    def __init__(self, lookups: LoopLookups) -> None:
        self._lookups = lookups

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        running = running_exchange.get()
        found = judged(host, await self._found(host, running.exchange), running.exchange.rule)
        addresses = [_plain(address) for address in found]
        running.allowed.update(addresses)
        return [
            ResolveResult(hostname=host, host=str(a), port=port, family=_family(a), proto=0, flags=0)
            for a in addresses
        ]

    async def close(self) -> None:
        """Look-ups under way end by themselves."""

    async def _found(self, host: str, exchange: Exchange) -> list[IPAddress]:
        if (literal := literal_address(host)) is not None:
            return [literal]
        exchange.clock.begin(DNS)
        found = await self._lookups.addresses(
            host, organization_id=exchange.organization_id, deadline=exchange.deadline
        )
        exchange.clock.end()
        return found


def judged_socket(info: Any) -> socket.socket:
    """The last lock: also hosts that are addresses, which no resolver sees, come by here."""
    family, kind, protocol, _, sockaddr = info
    running = running_exchange.get()
    if not running.exchange.rule.allows_port(sockaddr[1]):
        raise refusal(f"port {sockaddr[1]}: not in WEBHOOK_ALLOWED_PORTS")
    address = ipaddress.ip_address(sockaddr[0])
    if address not in running.allowed:
        if why := running.exchange.rule.address_refusal(address):
            raise refusal(f"{address}: {why}")
        running.allowed.add(address)
    running.exchange.clock.begin(CONNECT)
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _plain(address: IPAddress) -> IPAddress:
    """IPv4 inside IPv6 is connected to as IPv4."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _family(address: IPAddress) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6
