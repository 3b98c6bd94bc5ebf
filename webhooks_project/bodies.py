"""Reads bodies on the event loop, so that no thread waits for a client that sends slowly."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from django.conf import settings

from webhooks_project.environ import Environ

Receive = Callable[[], Awaitable[dict[str, Any]]]

# So much of any body is read. More of one only while fewer than so many others are larger, too: with 6 MB
# (API_BODY_MAX_BYTES) each, 200 MB are the most that they take. Whoever has no valid key, and will be refused
# or is a person on a page, has other places than callers: strangers that stall hold up each other only.
SMALL_BYTES = 64 * 1024
LARGE_MAX = 28
LARGE_OF_STRANGERS_MAX = 4
# From the head of a request to the end of its body. 6 MB in that are 100 KB a second.
BODY_MAX_SECONDS = 60.0


class BodyTooSlow(Exception):
    """It did not come within BODY_MAX_SECONDS."""


class ClientGone(Exception):
    """It hung up before its body was there: nobody is told anything."""


class Bodies:
    """All bodies that are being read and answered in this process."""

    def __init__(self, is_caller: Callable[[Environ], Awaitable[bool]]) -> None:
        """`is_caller`: does the request bring a valid key?"""
        self._is_caller = is_caller
        self._of_callers = asyncio.Semaphore(LARGE_MAX)
        self._of_strangers = asyncio.Semaphore(LARGE_OF_STRANGERS_MAX)

    async def read(self, environ: Environ, receive: Receive) -> "Body":
        """Put the body into `environ`, and its length if it came in chunks."""
        body, raw = Body(partial(self._place, environ)), b""
        if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
            try:
                async with asyncio.timeout(BODY_MAX_SECONDS):
                    raw = await body.read(receive)
            except TimeoutError:
                body.forget()
                raise BodyTooSlow from None
            except BaseException:
                body.forget()
                raise
            environ.setdefault("CONTENT_LENGTH", str(len(raw)))
        environ["wsgi.input"] = io.BytesIO(raw)
        return body

    async def _place(self, environ: Environ) -> asyncio.Semaphore:
        places = self._of_callers if await self._is_caller(environ) else self._of_strangers
        await places.acquire()
        return places


class Body:
    """One of them, from its first byte until its request is answered."""

    def __init__(self, place: Callable[[], Awaitable[asyncio.Semaphore]]) -> None:
        self._place = place
        self._held: asyncio.Semaphore | None = None

    async def read(self, receive: Receive) -> bytes:
        """All of it, or one byte more than is allowed, which is enough to be refused."""
        most, size, more = settings.API_BODY_MAX_BYTES + 1, 0, True
        pieces: list[bytes] = []
        while more and size < most:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            more = message.get("more_body", False)
            if more and size > SMALL_BYTES and self._held is None:
                self._held = await self._place()
        return b"".join(pieces)[:most]

    def forget(self) -> None:
        """Another one may be large now."""
        if self._held is not None:
            self._held.release()
            self._held = None
