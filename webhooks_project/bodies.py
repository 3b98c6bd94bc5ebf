"""Reads bodies on the event loop, so that no thread waits for a client that sends slowly."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from webhooks_project.environ import Environ

Receive = Callable[[], Awaitable[dict[str, Any]]]

# So much of any body is read. More of one only while fewer than so many others are larger, too: with 6 MB
# (API_BODY_MAX_BYTES) each, 200 MB are the most that they take.
SMALL_BYTES = 64 * 1024
LARGE_MAX = 32
# From the head of a request to the end of its body. 6 MB in that are 100 KB a second.
BODY_MAX_SECONDS = 60.0


class BodyTooSlow(Exception):
    """It did not come within BODY_MAX_SECONDS."""


class ClientGone(Exception):
    """It hung up before its body was there: nobody is told anything."""


class Bodies:
    """All bodies that are being read and answered in this process."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(LARGE_MAX)

    async def read(self, environ: Environ, receive: Receive) -> "Body":
        """Put the body into `environ`, and its length if it came in chunks."""
        body, raw = Body(self._large), b""
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


class Body:
    """One of them, from its first byte until its request is answered."""

    def __init__(self, large: asyncio.Semaphore) -> None:
        self._large = large
        self._is_large = False

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
            if more and size > SMALL_BYTES and not self._is_large:
                await self._large.acquire()
                self._is_large = True
        return b"".join(pieces)[:most]

    def forget(self) -> None:
        """Another one may be large now."""
        if self._is_large:
            self._is_large = False
            self._large.release()
