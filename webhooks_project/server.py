"""How gunicorn's processes serve webhooks_project/asgi.py: `--worker-class webhooks_project.server.Worker`.

Each is uvicorn on an event loop. uvicorn bounds neither size nor time of a request's head, and hangs up on
kept connections the moment that it is told to stop: that is mended here.
"""

from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker

# Request line, and all header fields with their names. As many as gunicorn's own workers accept.
LINE_MAX_BYTES = 4094
HEADERS_MAX_BYTES = 32 * 1024
HEADERS_MAX = 100
# From connecting, or from the first byte of a later request, to the end of its head.
HEAD_MAX_SECONDS = 60.0
# A request that meets the stop on its way is answered on its connection, which is closed after.
LEAVE_SECONDS = 2.0


class HeadTooLarge(Exception):
    """The parser makes a 400 of it, and the connection is closed."""


class Connection(HttpToolsProtocol):
    """One client's, from its first request to its last."""

    _in_head = False
    _unseen_bytes = 0
    _is_leaving = False
    _too_late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_of_head()

    def data_received(self, data: bytes) -> None:
        self._unseen_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._too_late is None:
            self._expect_head()
        # What is neither a whole head nor a body is an endless head, or what may follow the chunks of a body.
        if self._unseen_bytes > LINE_MAX_BYTES + HEADERS_MAX_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_body(self, body: bytes) -> None:
        self._unseen_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unseen_bytes = 0
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        self._end_of_head()
        self._unseen_bytes = 0
        if (
            len(self.url) > LINE_MAX_BYTES
            or len(self.headers) > HEADERS_MAX
            or sum(len(name) + len(value) for name, value in self.headers) > HEADERS_MAX_BYTES
        ):
            raise HeadTooLarge
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def _expect_head(self) -> None:
        self._too_late = self.loop.call_later(HEAD_MAX_SECONDS, self.transport.close)

    def _end_of_head(self) -> None:
        self._in_head = False
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None

    def shutdown(self) -> None:
        # It has no cycle before its first request.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._is_leaving = True
            self.loop.call_later(LEAVE_SECONDS, super().shutdown)
        else:
            super().shutdown()


class Worker(UvicornWorker):  # type: ignore[misc]
    """One of the API's processes."""

    CONFIG_KWARGS: dict[str, Any] = {
        "http": Connection,
        "loop": "asyncio",
        "ws": "none",
        "lifespan": "off",
        # Which headers of proxies are believed is for the settings to say: nobody's, unless they name them.
        "proxy_headers": False,
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Before gunicorn loses patience, so that what is left is given up in order.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 1)
