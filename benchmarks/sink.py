"""A receiver that costs next to nothing, in a process of its own: `python -m benchmarks.sink`.

It answers 204 and keeps, for each POST, the path, the `webhook-id` and the moment of arrival by the
machine's monotonic clock, which all processes share. What a path says decides what happens:

    /wait/500/…   the answer comes after 500 ms
    /hang/…       no answer, until the caller gives up
    /close/…      the connection ends with the answer

It listens on several ports, for a receiver is a host and a port. GET /stats, GET /dump and DELETE /
(forget everything) are for the benchmark. Only what clients under test send is understood: one request at
a time per connection, with a Content-Length.
"""

import argparse
import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

RECEIVERS = 20
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NO_CONTENT_AND_CLOSE = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Log:
    """What has arrived since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.arrivals: list[tuple[bytes, bytes, float]] = []
        self.open = 0
        """Requests that wait for their answer now."""
        self.open_most = 0
        self.handshakes = 0
        self.resumed = 0
        """Handshakes that went on with an earlier TLS session, which spares their dear part."""
        self._by_kind: Counter[str] = Counter()
        self._counted = 0
        self._cpu_before = time.process_time()

    def stats(self) -> dict[str, Any]:
        """Counts by the first word of the path, made up here so that a request does not pay for them."""
        for path, _, _ in self.arrivals[self._counted :]:
            self._by_kind[path.split(b"/", 2)[1].decode()] += 1
        self._counted = len(self.arrivals)
        return {
            "requests": len(self.arrivals),
            "by_kind": self._by_kind,
            "last": self.arrivals[-1][2] if self.arrivals else None,
            "open_most": self.open_most,
            "handshakes": self.handshakes,
            "resumed": self.resumed,
            "cpu_seconds": time.process_time() - self._cpu_before,
        }

    def dump(self) -> list[tuple[str, str, float]]:
        return [(path.decode(), id_.decode(), at) for path, id_, at in self.arrivals]

    def hold(self) -> None:
        self.open += 1
        self.open_most = max(self.open_most, self.open)


class Connection(asyncio.Protocol):
    """One caller. Each step is the least that finds the path, the id and the end of the request."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.buffer = b""
        self.held = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self.log.handshakes += 1
            self.log.resumed += tls.session_reused

    def connection_lost(self, error: Exception | None) -> None:
        self.log.open -= self.held
        self.held = 0

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if self.buffer:
            data = self.buffer + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            # Names of headers come in any case, ids keep theirs.
            head = data[: end + 2].lower()
            size = end + 4
            at = head.find(b"\r\ncontent-length:")
            if at >= 0:
                size += int(head[at + 17 : head.index(b"\r\n", at + 17)])
            if len(data) < size:
                break
            self._take(data, head, now)
            data = data[size:]
        self.buffer = data

    def _take(self, data: bytes, head: bytes, now: float) -> None:
        method, path, _ = data[: head.index(b"\r\n")].split(b" ", 2)
        if method != b"POST":
            self._control(method, path)
            return
        at = head.find(b"\r\nwebhook-id:")
        id_ = data[at + 13 : head.index(b"\r\n", at + 13)].strip() if at >= 0 else b""
        self.log.arrivals.append((path, id_, now))
        if len(path) > 5 and path[1:6] in SPECIAL:
            SPECIAL[path[1:6]](self, path)
        else:
            self.transport.write(NO_CONTENT)

    def wait(self, path: bytes) -> None:
        self._hold()
        milliseconds = int(path.split(b"/")[2])
        asyncio.get_running_loop().call_later(milliseconds / 1000, self._answer_late)

    def hang(self, path: bytes) -> None:
        self._hold()

    def close(self, path: bytes) -> None:
        self.transport.write(NO_CONTENT_AND_CLOSE)
        self.transport.close()

    def _hold(self) -> None:
        self.held += 1
        self.log.hold()

    def _answer_late(self) -> None:
        if self.held:
            self.held -= 1
            self.log.open -= 1
            self.transport.write(NO_CONTENT)

    def _control(self, method: bytes, path: bytes) -> None:
        body = b"{}"
        if method == b"DELETE":
            self.log.reset()
        elif path == b"/dump":
            body = json.dumps(self.log.dump()).encode()
        else:
            body = json.dumps(self.log.stats()).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


SPECIAL: dict[bytes, Callable[[Connection, bytes], None]] = {
    b"wait/": Connection.wait,
    b"hang/": Connection.hang,
    b"close": Connection.close,
}


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", help="a PEM file with certificate and key: TLS on a second port")
    certificate = parser.parse_args().certificate
    log = Log()
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Connection(log), "127.0.0.1", 0, backlog=4096)
        for _ in range(RECEIVERS)
    ]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        servers.append(
            await loop.create_server(
                lambda: Connection(log), "127.0.0.1", 0, backlog=4096, ssl=context, ssl_handshake_timeout=10
            )
        )
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
