"""A WSGI application behind an event loop: its calls are made in threads, of which there are so many.

The packages that do this let a thread wait for a client that sends or reads slowly (a2wsgi), or have a single
thread (asgiref). Here a thread gets a request when its body is there, and gives an answer of usual size back
whole: it waits for a client only between the blocks of a long answer, and not for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from webhooks_project.environ import Environ

Application = Callable[[Environ, Any], Iterable[bytes]]
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

# Answers up to this size are given back whole, longer ones in blocks of it.
BLOCK_BYTES = 64 * 1024
# So long a client may take for a block: one that reads less than 2 KB a second is not served to the end.
BLOCK_MAX_SECONDS = 30.0


class Threads:
    """Calls `application` for requests, in at most so many threads at a time; the others wait."""

    def __init__(self, application: Application, count: int) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="request")

    async def answer(self, environ: Environ, send: Send) -> None:
        loop = asyncio.get_running_loop()
        reply = _Reply(send, loop)
        await loop.run_in_executor(self._pool, reply.make, self._application, environ)
        await reply.end()


class _Reply:
    """What the application says to one request: said in a thread, sent on the loop."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop) -> None:
        self._send, self._loop = send, loop
        self._start: Message | None = None
        self._blocks: list[bytes] = []
        self._size = 0

    def make(self, application: Application, environ: Environ) -> None:
        """In a thread."""
        said = application(environ, self._start_response)
        try:
            for block in said:
                self._add(block)
        finally:
            if hasattr(said, "close"):
                said.close()

    async def end(self) -> None:
        """What is left when the application is done; mostly that is all."""
        await self._send_on(more_body=False)

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        self._start = {
            "type": "http.response.start",
            "status": int(status.split(" ", 1)[0]),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
        return self._add

    def _add(self, block: bytes) -> None:
        self._blocks.append(block)
        self._size += len(block)
        if self._size > BLOCK_BYTES:
            sending = asyncio.run_coroutine_threadsafe(self._send_on(more_body=True), self._loop)
            try:
                sending.result(BLOCK_MAX_SECONDS)
            except TimeoutError:
                sending.cancel()
                raise TimeoutError("the client takes its answer too slowly") from None

    async def _send_on(self, *, more_body: bool) -> None:
        start, self._start = self._start, None
        body, self._blocks, self._size = b"".join(self._blocks), [], 0
        if start is not None:
            await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": more_body})
