"""A WSGI application behind an event loop: its calls are made in threads, of which there are so many.

The packages that do this let a thread wait for a client that sends or reads slowly (a2wsgi), or have a single
thread (asgiref). Here a thread gets a request when its body is there, and gives an answer of usual size back
whole: it waits for a client only between the blocks of a long answer, and not for ever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

from webhooks_project.environ import Application, Environ

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

# Answers up to this size are given back whole, longer ones in blocks of it: no file and no list is larger,
# but exports are.
BLOCK_BYTES = 2 * 1024 * 1024
# So long a client may take for a block. webhooks_project/server.py gives one that reads nothing up before.
BLOCK_MAX_SECONDS = 120.0
# Of the threads, so many may wait for clients at a time: the others are for whoever asks meanwhile.
WAITING_MAX_SHARE = 4
WAITING_PLACE_SECONDS = 1.0


class Threads:
    """Calls `application` for requests, in at most so many threads at a time; the others wait."""

    def __init__(self, application: Application, count: int) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="request")
        self._waiting = BoundedSemaphore(max(1, count // WAITING_MAX_SHARE))

    async def has(self, check: Callable[[str], bool], value: str) -> bool:
        """What the check says of the value, in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, check, value)

    async def answer(self, environ: Environ, send: Send) -> None:
        loop = asyncio.get_running_loop()
        reply = _Reply(send, loop, self._waiting)
        await loop.run_in_executor(self._pool, reply.make, self._application, environ)
        await reply.end()


class _Reply:
    """What the application says to one request: said in a thread, sent on the loop."""

    def __init__(self, send: Send, loop: asyncio.AbstractEventLoop, waiting: BoundedSemaphore) -> None:
        self._send, self._loop, self._waiting = send, loop, waiting
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
            if not self._waiting.acquire(timeout=WAITING_PLACE_SECONDS):
                raise TimeoutError("too many clients take long answers slowly")
            try:
                self._wait_for_client()
            finally:
                self._waiting.release()

    def _wait_for_client(self) -> None:
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
