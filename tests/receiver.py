"""A programmable receiver on loopback: says what it is told to, and remembers every request."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request as it came in."""

    path: str
    headers: Message
    body: bytes
    at: float


@dataclass
class Reply:
    """What to answer; `before` runs first and may block or close the connection."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    before: Callable[[BaseHTTPRequestHandler], None] | None = None


class Receiver:
    """`with Receiver() as receiver:`; replies are per path, used up in order, the last one stays."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._changed = threading.Condition()
        self._replies: dict[str, deque[Reply]] = defaultdict(deque)
        self.release = threading.Event()
        """Hanging requests go on when this is set; set at the end in any case."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(), bind_and_activate=False)
        self._server.request_queue_size = 512
        self._server.daemon_threads = True
        self._server.server_bind()
        self._server.server_activate()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def reply(self, *replies: Reply | int, path: str = "/hook") -> None:
        self._replies[path].extend(Reply(r) if isinstance(r, int) else r for r in replies)

    def always(self, status: int, path: str = "/hook") -> None:
        """From now on, whatever was to come."""
        self._replies[path] = deque([Reply(status)])

    def hang(self, path: str = "/hook") -> None:
        """Accept requests, answer none of them until `release` is set."""
        self.reply(Reply(before=lambda handler: _ignore(self.release.wait(60))), path=path)

    def recover(self, path: str = "/hook") -> None:
        """From now on accept everything at `path`; hanging requests are answered as well."""
        with self._changed:
            self._replies[path] = deque([Reply()])
        self.release.set()

    def at(self, path: str = "/hook") -> list[Received]:
        return [request for request in self.requests if request.path == path]

    def wait_for(self, count: int, path: str = "/hook", seconds: float = 20.0) -> list[Received]:
        """The requests at `path` once there are `count` of them; fails after `seconds`."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.at(path)) >= count, seconds)
        assert arrived, f"{len(self.at(path))} of {count} requests came to {path} in {seconds} s"
        return self.at(path)

    def _next_reply(self, path: str) -> Reply:
        replies = self._replies[path]
        if not replies:
            return Reply()
        return replies.popleft() if len(replies) > 1 else replies[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with receiver._changed:
                    receiver.requests.append(Received(self.path, self.headers, body, time.monotonic()))
                    reply = receiver._next_reply(self.path)
                    receiver._changed.notify_all()
                with suppress(OSError):
                    if reply.before is not None:
                        reply.before(self)
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    if reply.status != 204 and "Content-Length" not in reply.headers:
                        self.send_header("Content-Length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler


def drip(handler: BaseHTTPRequestHandler, bytes_: Iterator[bytes], pause: threading.Event) -> None:
    """Send piece after piece with a tenth of a second between them, until `pause` is set."""
    for piece in bytes_:
        handler.wfile.write(piece)
        handler.wfile.flush()
        if pause.wait(0.1):
            return


def _ignore(_: object) -> None:
    return
