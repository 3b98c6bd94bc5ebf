"""The transport on one event loop: the same contract as `transport.py`, for hundreds of requests at once.

aiohttp brings the pool of connections and the HTTP; addresses are judged by the same rule at the
same two places: all that a name resolves to, and again where the socket is made.
"""

import asyncio
import ssl
import time
from functools import lru_cache

import aiohttp
from yarl import URL

from delivery.phases import PhaseClock
from delivery.sender import connections
from delivery.sender.answers import (
    UTF8_MAX_BYTES_PER_CHARACTER,
    kept_headers,
    kept_text,
    milliseconds_since,
    unanswered,
)
from delivery.sender.connections import Exchange
from delivery.sender.deadline import Deadline
from delivery.sender.loop_connections import (
    GuardedConnector,
    JudgingResolver,
    Running,
    judged_socket,
    running_exchange,
)
from delivery.sender.loop_exchange import Exchanges
from delivery.sender.loop_lookups import LoopLookups
from delivery.sender.result import Answer, NoAnswer, OutgoingRequest, SendFailure
from delivery.sender.targets import Targets
from delivery.sender.transport import prepared_url, tls_context
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from subscriptions.plain_urls import plain_origin

# As many as receivers are kept (subscriptions/cache.py): an event may go to all of them.
URLS_KEPT = 20_000
IDLE_CONNECTION_SECONDS = 30.0


class LoopTransport:
    """Sends requests to targets that the rule allows. Lives on one event loop."""

    def __init__(
        self,
        *,
        rule: TargetRule,
        body_max_characters: int,
        dns_timeout_seconds: float = 5.0,
        lookups_per_organization: int = 8,
        ca_file: str = "",
        tls_session_max_age_seconds: float = 0.0,
    ) -> None:
        self._rule = rule
        self._targets = Targets(rule)
        self._lookups = LoopLookups(
            timeout_seconds=dns_timeout_seconds, per_organization=lookups_per_organization
        )
        self._body_max_characters = body_max_characters
        self._tls = tls_context(ca_file, tls_session_max_age_seconds)
        self._exchanges: Exchanges | None = None
        self._since = 0.0

    async def send(self, request: OutgoingRequest) -> Answer | NoAnswer:
        """One POST; every failure on the way is a NoAnswer, not an exception."""
        started = time.monotonic()
        exchange = Exchange(
            rule=self._rule,
            organization_id=request.organization_id,
            deadline=Deadline(request.timeout_seconds),
        )
        running_exchange.set(Running(exchange))
        try:
            url = self._targets.checked(request)
            async with asyncio.timeout(request.timeout_seconds):
                return await self._exchange(url, request, started, exchange.clock)
        except (SendFailure, aiohttp.ClientError, OSError, ValueError) as error:
            return unanswered(_failure(error), started, exchange.clock)

    async def close(self) -> None:
        if self._exchanges is not None:
            await self._exchanges.close()

    async def _exchange(
        self, url: str, request: OutgoingRequest, started: float, clock: PhaseClock
    ) -> Answer:
        raw = await self._current().post(
            target(url),
            request.headers,
            request.body,
            clock,
            body_max_bytes=self._body_max_characters * UTF8_MAX_BYTES_PER_CHARACTER,
        )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw.headers]
        return Answer(
            status_code=raw.status,
            headers=kept_headers(headers),
            body=kept_text(raw.body, self._body_max_characters),
            duration_ms=milliseconds_since(started),
            phases=clock.phases(),
        )

    def _current(self) -> Exchanges:
        """It keeps connections open; after a while a new one asks the names again."""
        now = time.monotonic()
        if self._exchanges is None or now - self._since > connections.CONNECTION_MAX_AGE_SECONDS:
            if self._exchanges is not None:
                # Requests under way keep their connections; idle ones end by themselves.
                old, loop = self._exchanges, asyncio.get_running_loop()
                loop.call_later(connections.CONNECTION_MAX_AGE_SECONDS, lambda: loop.create_task(old.close()))
            self._exchanges, self._since = Exchanges(self._new_connector()), now
        return self._exchanges

    def _new_connector(self) -> GuardedConnector:
        return GuardedConnector(
            limit=0,
            resolver=JudgingResolver(self._lookups),
            use_dns_cache=False,
            keepalive_timeout=IDLE_CONNECTION_SECONDS,
            happy_eyeballs_delay=None,
            socket_factory=judged_socket,
            ssl=self._tls,
        )


@lru_cache(URLS_KEPT)
def target(url: str) -> URL:
    """The URL exactly as `requests` would ask for it, so that both senders send the same."""
    return URL(url if plain_origin(url) else prepared_url(url), encoded=True)


def _failure(error: Exception) -> SendFailure:
    """The class of an error that came up while sending or receiving."""
    if isinstance(error, SendFailure):
        return error
    if isinstance(error, TimeoutError):
        return SendFailure(ErrorClass.TIMEOUT, "The receiver did not answer in time")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return SendFailure(ErrorClass.TLS, "TLS failed: the certificate or protocol was not acceptable")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, ConnectionRefusedError):
            return SendFailure(ErrorClass.CONNECTION_REFUSED, "The connection was refused")
        text = error.os_error.strerror or "network error"
        return SendFailure(ErrorClass.NETWORK, f"No connection could be made ({text})")
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return SendFailure(
            ErrorClass.CONNECTION_RESET, "The receiver closed the connection without an answer"
        )
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return SendFailure(ErrorClass.PROTOCOL, "The answer was not valid HTTP")
    if isinstance(error, ValueError):
        return SendFailure(ErrorClass.NOT_SENT, "The request could not be built from the URL and headers")
    return SendFailure(ErrorClass.NETWORK, "The connection failed")
