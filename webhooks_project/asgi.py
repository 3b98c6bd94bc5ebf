"""The API and admin for ASGI servers: plain reports of events on the event loop, all else in threads."""

import asyncio
import time
from functools import cached_property
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from webhooks_project.wsgi import ordinary  # isort: skip - first, for it makes Django ready
from delivery.api import lean
from delivery.api.lean import Said
from delivery.api.lean_loop import Waiting
from delivery.database import DATABASE_AWAY
from subscriptions.api.authentication import presented_key
from subscriptions.keys import hash_api_key
from subscriptions.known_keys import kept_key, valid_key
from webhooks_project import api_errors, collecting, measured
from webhooks_project.bodies import Bodies, BodyTooSlow, ClientGone, Receive
from webhooks_project.connections import drop_dead_connection
from webhooks_project.environ import Application, Environ, Scope, environ_of
from webhooks_project.threads import Message, Send, Threads


class OnLoop:
    """`application`'s answers, but for those that need no thread."""

    def __init__(self, application: Application) -> None:
        self._threads = Threads(application, settings.API_THREADS)
        self._bodies = Bodies(self._is_caller)

    @cached_property
    def _waiting(self) -> Waiting:
        return Waiting(asyncio.get_running_loop())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # So servers learn that there is nothing to be told of their start and end.
            raise ValueError(f"{scope['type']} is not spoken here")
        environ, watched = environ_of(scope), Watched(send)
        await self._serve(environ, receive, watched)
        if watched.status:
            measured.note(environ["REQUEST_METHOD"], environ["PATH_INFO"], watched.status, watched.seconds())

    async def _serve(self, environ: Environ, receive: Receive, send: Send) -> None:
        try:
            body = await self._bodies.read(environ, receive)
        except ClientGone:
            return
        except BodyTooSlow:
            await tell(too_slow(), send)
            return
        try:
            await self._answer(environ, send)
        finally:
            body.forget()

    async def _is_caller(self, environ: Environ) -> bool:
        text = presented_key(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"))
        if not text:
            return False
        key_hash = hash_api_key(text)
        return kept_key(key_hash) is not None or await self._threads.has(is_valid, key_hash)

    async def _answer(self, environ: Environ, send: Send) -> None:
        if not settings.TRACING and (report := lean.plain_report(environ)) is not None:
            said = await self._waiting.said(report)
            if said is not None:
                await tell(said, send)
                return
        await self._threads.answer(environ, send)


class Watched:
    """`send` that knows what was said, and for how long it has been there."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.perf_counter()
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if "status" in message:
            self.status = message["status"]
        await self._send(message)

    def seconds(self) -> float:
        return time.perf_counter() - self._began


def is_valid(key_hash: str) -> bool:
    """Is it of a key that counts? While the database is away, of none: the application will say that."""
    drop_dead_connection()
    try:
        return valid_key(key_hash) is not None
    except DATABASE_AWAY:
        connection.close()
        return False


async def tell(said: Said, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in said.headers]
    await send({"type": "http.response.start", "status": int(said.status[:3]), "headers": headers})
    await send({"type": "http.response.body", "body": said.body})


def too_slow() -> Said:
    body = orjson.dumps(api_errors.body("The body did not come in time.", "request_timeout"))
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return Said("408 Request Timeout", [*headers, ("Connection", "close")], body)


application: Any = OnLoop(ordinary)
lean.prepare()
collecting.seldom()
