"""The listener's HTTP server: takes a webhook, judges it, tells of it, answers as it is told to."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, TypeVar

from delivery.listener.shown import Shown
from delivery.listener.verifying import Keys, Request, verify

Item = TypeVar("Item")

BODY_MAX_BYTES = 16 * 1024 * 1024
# Longer ones are not worth reading as a number.
LENGTH_MAX_DIGITS = 20
# Of a sender that says nothing more.
SILENCE_MAX_SECONDS = 60
# They belong to one connection, or are made anew for the next.
HOP_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "keep-alive", "te", "upgrade", "expect"}
)


class Reply(NamedTuple):
    """What the sender is answered."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    note: str = ""


# Path, headers and body in, what the other receiver answered out.
Forward = Callable[[str, dict[str, str], bytes], Reply]


@dataclass(frozen=True, kw_only=True)
class Script:
    """How to answer: in turn, the last one for all that follow."""

    statuses: Sequence[int] = (204,)
    delays_seconds: Sequence[float] = (0.0,)
    forward: Forward | None = None


@dataclass
class Tally:
    """What came in so far."""

    webhooks: int = 0
    genuine: int = 0
    bad: int = 0
    seen: Counter[str] = field(default_factory=Counter)

    @property
    def repeated(self) -> int:
        return sum(times - 1 for times in self.seen.values())


class Listener:
    """`tell` is called for each webhook, one after the other. `serve` ends after `most` of them, or when
    nobody reads any more what is told, as after `| head -1`."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        keys: Callable[[], Keys],
        script: Script,
        tell: Callable[[Shown], None],
        most: int | None = None,
    ) -> None:
        self.tally = Tally()
        self.is_read = True
        self._keys, self._script, self._tell, self._most = keys, script, tell, most
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(address, self._handler())
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Until `most` have come, or KeyboardInterrupt."""
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self._server.server_close()

    def _receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Reply, float]:
        """The answer, and how long it is to take."""
        with self._lock:
            shown, number = self._judged(path, headers, body)
        reply = Reply(shown.status)
        if self._script.forward is not None:
            reply = self._script.forward(path, headers, body)
            shown = replace(shown, status=reply.status, forwarded=reply.note)
        with self._lock:
            try:
                self._tell(shown)
            except BrokenPipeError:
                self.is_read = False
        if number == self._most or not self.is_read:
            # Not at once: this one is to be answered first.
            threading.Timer(shown.delay_seconds + 0.2, self._server.shutdown).start()
        return reply, shown.delay_seconds

    def _judged(self, path: str, headers: dict[str, str], body: bytes) -> tuple[Shown, int]:
        tally, script = self.tally, self._script
        number = tally.webhooks
        tally.webhooks += 1
        webhook_id = headers.get("webhook-id", "")
        tally.seen[webhook_id or f"without an id {number}"] += 1
        request = Request(headers=headers, body=body, now=time.time())
        shown = Shown(
            at=datetime.now(),
            path=path,
            webhook_id=webhook_id,
            body=body,
            verdicts=verify(request, self._keys()),
            times=tally.seen[webhook_id] if webhook_id else 1,
            status=_in_turn(script.statuses, number),
            delay_seconds=_in_turn(script.delays_seconds, number),
        )
        if shown.is_checked:
            tally.genuine += shown.is_genuine
            tally.bad += not shown.is_genuine
        return shown, tally.webhooks

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = SILENCE_MAX_SECONDS

            def do_POST(self) -> None:
                if refused := _refused(self.path, self.headers):
                    self.close_connection = True
                    self._answer(Reply(refused))
                    return
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # The sender is gone: what came is not what it signed.
                    self.close_connection = True
                    return
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply, delay_seconds = listener._receive(self.path, headers, body)
                time.sleep(delay_seconds)
                with suppress(OSError):  # the sender did not wait
                    self._answer(reply)

            def _answer(self, reply: Reply) -> None:
                self.send_response(reply.status)
                if reply.status != 204:
                    self.send_header("Content-Type", reply.content_type)
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.status != 204:
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler


def _refused(path: str, headers: "Message[str, str]") -> int | None:
    """The status for what is not taken: what is no path (forwarded, it could name another port), and bodies
    without a length or with one that is too much."""
    length = headers.get("Content-Length", "")
    if not path.startswith("/"):
        return 400
    if not length or "Transfer-Encoding" in headers:
        return 411
    if not (length.isascii() and length.isdigit()):
        return 400
    return 413 if len(length) > LENGTH_MAX_DIGITS or int(length) > BODY_MAX_BYTES else None


def _in_turn(sequence: Sequence[Item], number: int) -> Item:
    return sequence[min(number, len(sequence) - 1)]
