"""One exchange on a connection of aiohttp's pool, without what its session does for everybody else.

For each request a session makes a request, a writer, a task and a response, and looks after cookies,
redirects, traces and middlewares, none of which a webhook has: half of what sending costs. The pool, TLS,
the resolver, the sockets and the parser of answers are aiohttp's here as well.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import monotonic_ns
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from yarl import URL

from delivery.phases import PhaseClock
from delivery.sender.result import SendFailure
from delivery.sender.sessions import note_answer, opening_port
from delivery.states import ErrorClass

READ_AHEAD_BYTES = 8 * 1024
# About 3 KB each.
ROUTES_MAX = 10_000
# The deadline of the whole is somebody else's.
UNBOUNDED = aiohttp.ClientTimeout(total=None)


class Route(NamedTuple):
    """What all requests to one scheme, host and port have in common."""

    request: aiohttp.ClientRequest
    """For the pool only: it says where to connect."""
    host: str
    port: int


class RawAnswer(NamedTuple):
    """As it came; the body up to the given limit and a little more."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


class Exchanges:
    """POSTs over the connections of one connector. Lives on its event loop."""

    def __init__(self, connector: aiohttp.BaseConnector) -> None:
        self._connector = connector
        self._routes: dict[tuple[str, str], Route] = {}

    async def close(self) -> None:
        await self._connector.close()

    async def post(
        self,
        url: URL,
        headers: Mapping[str, str],
        body: bytes,
        clock: PhaseClock,
        *,
        body_max_bytes: int,
    ) -> RawAnswer:
        """Reads until the body is longer than `body_max_bytes`, which ends the connection.

        Raises aiohttp.ClientError, OSError or SendFailure; ValueError where a header holds a line break.
        """
        route = self._route(url)
        head = _head(url.raw_path_qs, route.host, headers, len(body))
        opening_port.set(route.port)
        connection = await self._connector.connect(route.request, traces=[], timeout=UNBOUNDED)
        is_reusable = False
        try:
            protocol, transport = connection.protocol, connection.transport
            if protocol is not None and (refused := protocol.exception()) is not None:
                raise refused
            if protocol is None or transport is None or transport.is_closing():
                raise aiohttp.ClientConnectionResetError("the connection ended before it was used")
            protocol.set_response_params(
                read_until_eof=True, auto_decompress=False, read_bufsize=READ_AHEAD_BYTES
            )
            transport.write(head + body)
            clock.sent_at = monotonic_ns()
            message, content = await _final_answer(protocol)
            clock.answered_at = monotonic_ns()
            note_answer(transport.get_extra_info("ssl_object"))
            raw = b""
            # Raw bytes: nothing is decompressed, so a small answer cannot become a large one.
            while len(raw) <= body_max_bytes and (piece := await content.readany()):
                raw += piece
            # What is not wanted, or was answered before it was sent, would be taken for the next exchange's.
            is_reusable = len(raw) <= body_max_bytes and not transport.get_write_buffer_size()
            return RawAnswer(message.code, message.raw_headers, raw)
        except HttpProcessingError as error:
            raise SendFailure(ErrorClass.PROTOCOL, "The answer was not valid HTTP") from error
        finally:
            if is_reusable:
                connection.release()
            else:
                connection.close()

    def _route(self, url: URL) -> Route:
        key = (url.scheme, url.raw_authority)
        route = self._routes.get(key)
        if route is None:
            if url.scheme not in ("http", "https") or url.port is None:
                raise ValueError("the URL is not of http or https")
            if len(self._routes) >= ROUTES_MAX:
                self._routes.clear()
            request = aiohttp.ClientRequest("POST", url, loop=asyncio.get_running_loop())
            route = self._routes[key] = Route(request, request.headers["Host"], url.port)
        return route


def _head(path: str, host: str, headers: Mapping[str, str], body_bytes: int) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # Judged long before; this is the last place where one header could become two.
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers) or "\x00" in lines:
        raise ValueError("a header holds a line break")
    return f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {body_bytes}\r\n\r\n".encode()


async def _final_answer(protocol: ResponseHandler) -> tuple[Any, aiohttp.StreamReader]:
    """The first answer that is not an interim one (1xx; 101 is none)."""
    while True:
        message, content = await protocol.read()
        if not 100 <= message.code < 200 or message.code == 101:
            return message, content
