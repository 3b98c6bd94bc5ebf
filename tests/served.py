"""The API's server, webhooks_project/server.py, in this process: around an application, on its own socket."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn
from django.db import connections

from webhooks_project.server import Worker

START_SECONDS = 10.0


@contextmanager
def served(application: Any) -> Iterator[int]:
    """The port on which it answers until the end of the block."""
    with running(application) as (_, port):
        yield port


@contextmanager
def running(application: Any) -> Iterator[tuple[uvicorn.Server, int]]:
    """The same with the server, which ends when its `should_exit` is true."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        server = uvicorn.Server(uvicorn.Config(application, log_config=None, **Worker.CONFIG_KWARGS))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            ends = time.monotonic() + START_SECONDS
            while not server.started:
                assert time.monotonic() < ends, "it does not start"
                time.sleep(0.01)
            yield server, listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def without_a_trace(application: Callable[..., Any]) -> Callable[..., Any]:
    """The application, whose threads keep no connection to the database."""

    def wrapped(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        try:
            answer = application(environ, start_response)
            yield from answer
            if hasattr(answer, "close"):
                answer.close()
        finally:
            connections.close_all()

    return wrapped


def exchange(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes = b""
) -> tuple[str, list[tuple[str, str]], bytes]:
    """One call on a connection of its own: status line, headers, body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        client.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            client.putheader(name, value)
        client.endheaders(body)
        answer = client.getresponse()
        return f"{answer.status} {answer.reason}", answer.getheaders(), answer.read()


def refuses(port: int) -> bool:
    """Is nobody there who takes connections?"""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False
