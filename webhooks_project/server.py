"""How gunicorn's processes serve webhooks_project/asgi.py: `--worker-class webhooks_project.server.Worker`.

Each is uvicorn on an event loop. uvicorn bounds neither size nor time of a request's head, nor how many
requests wait behind another on one connection, takes what follows a body for headers, loses the body of calls
that offer another protocol, and hangs up on kept connections the moment that it is told to stop: that is
mended here.
"""

import atexit
import os
import shutil
from asyncio import TimerHandle, Transport
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from tempfile import mkdtemp
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn_worker import UvicornWorker

from webhooks_project import env

# Request line, and all header fields with their names. As many as gunicorn's own workers accept.
LINE_MAX_BYTES = 4094
HEADERS_MAX_BYTES = 32 * 1024
HEADERS_MAX = 100
# From connecting, or from the first byte of a later request, to the end of its head.
HEAD_MAX_SECONDS = 60.0
# Requests that came before the one before them was answered. Hardly any client sends even one so.
PIPELINED_MAX = 64
# A client that takes less than a block of an answer in this time is not served to the end.
READ_MAX_SECONDS = 30.0
READ_LEAST_BYTES = 64 * 1024
# Clients at a time that keep an answer waiting. Each holds 4 MB at the most: a block, and the one that waits
# behind it (webhooks_project/threads.py). With one more the client that has waited for longest is given up.
UNREAD_MAX = 64
# What offers to speak another protocol: the parser would take all that follows for that one.
OFFERS = (b"upgrade", b"http2-settings")
# A request that meets the stop on its way is answered on its connection, which is closed after.
LEAVE_SECONDS = 2.0


class HeadTooLarge(Exception):
    """The parser makes a 400 of it, and the connection is closed."""


class TooManyAtOnce(Exception):
    """The connection is closed."""


class UnclearBody(Exception):
    """Nobody can say where it ends (RFC 9112, 6.1 and 6.3). The parser makes a 400 of it."""


class UnknownCoding(Exception):
    """A 501, and the connection is closed: a body in a form that is not understood here."""


def without_offer(headers: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The headers of a call that stays with HTTP/1.1, as a server may always choose (RFC 9110, 7.8)."""
    for name, value in headers:
        if name == b"connection":
            tokens = [token for token in value.split(b",") if token.strip().lower() not in OFFERS]
            yield name, b",".join(tokens).strip()
        elif name not in OFFERS:
            yield name, value


class Connection(HttpToolsProtocol):
    """One client's, from its first request to its last."""

    #: those of this process whose clients keep an answer waiting, for longest the first
    _unread: ClassVar[dict["Connection", None]] = {}
    _in_head = False
    _unseen_bytes = 0
    _is_leaving = False
    _too_late: TimerHandle | None = None
    _too_slow: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._end_of_head()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        self._unseen_bytes += len(data)
        left = data
        while left and not self.transport.is_closing():
            left = self._feed(left)
        if self._in_head and self._too_late is None:
            self._expect_head()
        # What is neither a whole head nor a body is an endless head, or what may follow the chunks of a body.
        if self._unseen_bytes > LINE_MAX_BYTES + HEADERS_MAX_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def _feed(self, data: bytes) -> bytes:
        """Read it; what is left is a call that offered another protocol, now without its offer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            if method == b"CONNECT":
                self.send_400_response("CONNECT is not spoken here.")
                return b""
            lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode())]
            lines += [b"%s: %s" % header for header in without_offer(self.headers)]
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return b"\r\n".join([*lines, b"", b""]) + data[offer.args[0] :]
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, UnknownCoding):
                self._refuse(HTTPStatus.NOT_IMPLEMENTED, "Of transfer codings only chunked is understood.")
            else:
                self.send_400_response("Invalid HTTP request received.")
        return b""

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if self.pipeline or (cycle is not None and not cycle.response_complete and not cycle.more_body):
            # It would be taken for the answer to the request before.
            self.transport.abort()
            return
        head = f"HTTP/1.1 {status} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        head += f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        self.transport.write((head + text).encode())
        self.transport.close()

    def on_message_begin(self) -> None:
        # Not before: a blank line is no request, and may be the last that is heard of a client.
        self._unset_keepalive_if_required()
        super().on_message_begin()
        self._in_head = True

    def on_body(self, body: bytes) -> None:
        self._unseen_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unseen_bytes = 0
        if not self.parser.should_upgrade():
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
        if codings := [value for name, value in self.headers if name == b"transfer-encoding"]:
            self._judge_codings(b",".join(codings))
        if self.parser.should_upgrade():
            return  # comes again, without its offer
        if len(self.pipeline) >= PIPELINED_MAX:
            raise TooManyAtOnce
        super().on_headers_complete()
        # What follows a body is no header of its request.
        self.headers = []
        if self._is_leaving:
            self.cycle.keep_alive = False

    def _judge_codings(self, codings: bytes) -> None:
        """The parser takes whatever ends with chunked, and would pass on what is still packed otherwise."""
        first, *others = (coding.strip().lower() for coding in reversed(codings.split(b",")))
        if first != b"chunked" or self.parser.get_http_version() != "1.1":
            raise UnclearBody
        if others:
            raise UnknownCoding

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reader(self.transport.get_write_buffer_size())
        self._unread[self] = None
        if len(self._unread) > UNREAD_MAX:
            longest = next(iter(self._unread))
            del self._unread[longest]
            longest.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.pop(self, None)
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # to close would be to wait for who does not read
        else:
            super().timeout_keep_alive_handler()

    def _expect_reader(self, waiting_bytes: int) -> None:
        self._too_slow = self.loop.call_later(READ_MAX_SECONDS, self._judge_reader, waiting_bytes)

    def _judge_reader(self, waited_bytes: int) -> None:
        waiting_bytes = self.transport.get_write_buffer_size()
        if waited_bytes - waiting_bytes < READ_LEAST_BYTES:
            self.transport.abort()
        else:
            self._expect_reader(waiting_bytes)

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


def folder_of_this_process(parent: str | None) -> str:
    """Is gone when this process ends; its children, which leave in the same way, let it be."""
    folder, owner = mkdtemp(prefix="runhooks-api-", dir=parent), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


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
        # Here gunicorn has not forked yet.
        env.measure_together(partial(folder_of_this_process, self.cfg.worker_tmp_dir))
        # Before gunicorn loses patience, so that what is left is given up in order.
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 1)
