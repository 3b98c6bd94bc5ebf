"""Callers that report an event in both ways of serving, and see whether it took the short way."""

import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from django.core.wsgi import get_wsgi_application

from delivery.api import lean
from subscriptions import services
from subscriptions.models import Organization
from tests.served import exchange, without_a_trace
from webhooks_project.asgi import OnLoop
from webhooks_project.environ import Application, Environ

EVENT = {"event_type": "invoice.paid", "data": {"amount": 5, "text": "caf\u00e9 \u0000 \ud800"}}


class Answered(NamedTuple):
    status: str
    headers: dict[str, str]
    """By names in lower case."""
    body: dict[str, Any]
    was_short: bool


def plain_environ(key: str, method: str, path: str, raw: bytes) -> Environ:
    """A call as a WSGI server tells it."""
    return {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_HOST": "testserver",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(raw)),
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(raw),
    }


def shortly(
    short_way: Callable[[Application], Application], django: Application, environ: Environ
) -> tuple[str, list[tuple[str, str]], bytes, bool]:
    """Status, headers and body, and whether it was answered before it came to Django."""
    went_on: list[str] = []

    def ordinary(environ: Environ, start_response: Any) -> Iterable[bytes]:
        went_on.append(environ["PATH_INFO"])
        return django(environ, start_response)

    told: list[Any] = []
    answer = b"".join(short_way(ordinary)(environ, lambda *said: told.append(said)))
    return *told[0], answer, not went_on


class Caller:
    """Calls the WSGI application as a WSGI server does, with an API key that was seen a moment ago."""

    def __init__(self, organization: Organization, scopes: list[str]) -> None:
        _, self.key = services.api_key_create(organization=organization, name="test", scopes=scopes)
        self.django = get_wsgi_application()
        self("GET", "/v1/webhooks")

    def __call__(
        self, method: str = "POST", path: str = lean.PATH, body: bytes | None = None, **environ: Any
    ) -> Answered:
        raw = json.dumps(EVENT).encode() if body is None else body
        whole = plain_environ(self.key, method, path, raw) | environ
        status, headers, answer, was_short = self._exchange(whole, raw)
        named = {name.lower(): value for name, value in headers}
        is_json = named.get("content-type", "").startswith("application/json")
        return Answered(status, named, json.loads(answer) if is_json else {}, was_short)

    def _exchange(
        self, environ: dict[str, Any], raw: bytes
    ) -> tuple[str, list[tuple[str, str]], bytes, bool]:
        return shortly(lean.answering_events, self.django, environ)


class ServedCaller(Caller):
    """Calls the ASGI application through its server, over a socket."""

    def __init__(self, organization: Organization, scopes: list[str], port: int, went_on: set[str]) -> None:
        self._port, self._went_on = port, went_on
        super().__init__(organization, scopes)

    numbers = itertools.count()

    def _exchange(
        self, environ: dict[str, Any], raw: bytes
    ) -> tuple[str, list[tuple[str, str]], bytes, bool]:
        number = str(next(self.numbers))
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith(("HTTP_", "CONTENT_"))
        }
        path = environ["PATH_INFO"] + (f"?{query}" if (query := environ.get("QUERY_STRING")) else "")
        said = exchange(self._port, environ["REQUEST_METHOD"], path, headers | {"X-Number": number}, raw)
        return *said, number not in self._went_on


def noting(went_on: set[str]) -> OnLoop:
    """The application, which notes who was sent the ordinary way."""
    django = without_a_trace(get_wsgi_application())

    def ordinary(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        went_on.add(environ["HTTP_X_NUMBER"])
        yield from django(environ, start_response)

    return OnLoop(ordinary)
