"""A receiver that costs next to nothing: answers 204, counts, remembers ids. `python -m benchmarks.sink`."""

import asyncio
import json

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Sink(asyncio.Protocol):
    """One connection. Requests have a Content-Length and come one after another."""

    ids: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            lines = self.buffer[:end].decode("latin-1").split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
            size = end + 4 + int(headers.get("content-length", 0))
            if len(self.buffer) < size:
                return
            self.buffer = self.buffer[size:]
            self._answer(lines[0], headers)

    def _answer(self, request_line: str, headers: dict[str, str]) -> None:
        if request_line.startswith("GET"):
            body = json.dumps({"requests": len(self.ids), "distinct": len(set(self.ids))}).encode()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        else:
            self.ids.append(headers.get("webhook-id", ""))
            self.transport.write(ANSWER)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
