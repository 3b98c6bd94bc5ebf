"""The short way for the one call that a platform makes for each event: `POST /v1/events`.

Django's and REST framework's way from a request to a view and back takes about 2 ms of CPU. Here a plain
call is answered before it, in a tenth of that; **whatever is not plain in every respect goes the ordinary
way**, which alone knows how to refuse. So there is one description of what is wrong with a call, and this
has to be right about one thing only: what the ordinary view would accept (tests send the same to both).
"""

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, NamedTuple, cast

import orjson
from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string
from rest_framework.exceptions import APIException

from delivery.api.ingest import Answer, Asked, Counted, Stored, ingest
from delivery.api.serializers import EVENT_ID
from delivery.custom_events import CustomEvent
from subscriptions.api import throttling
from subscriptions.api.authentication import Caller, presented_key
from subscriptions.event_types import is_custom_name
from subscriptions.keys import hash_api_key
from subscriptions.known_keys import kept_key
from subscriptions.models import Organization, Scope
from subscriptions.rate_limits import Verdict
from webhooks_project import api_errors
from webhooks_project.environ import Application, Environ
from webhooks_project.parsers import parsed

Headers = list[tuple[str, str]]

PATH = "/v1/events"
EVENT_IDS = re.compile(EVENT_ID)
JSON_TYPES = ("application/json", "application/json; charset=utf-8")
# A larger body takes the ordinary way, in a thread. Reading JSON takes .1 ms a KB if it is nothing but small
# numbers: for 3 ms nobody else would be answered on the event loop.
BODY_MAX_BYTES = 32 * 1024
ACCEPTED = ("", "*/*", "application/json")
# With one of these the call means more than its body says.
NOT_PLAIN = ("HTTP_IDEMPOTENCY_KEY", "HTTP_X_ORG_ID", "HTTP_COOKIE", "HTTP_CONTENT_ENCODING")
# By these Django tells by which name and scheme it was called.
ADDRESSED = ("wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO")
# As REST framework says them of the view.
OF_THE_VIEW = [("Content-Type", "application/json"), ("Vary", "Accept"), ("Allow", "POST, OPTIONS")]


def answering_events(application: Application) -> Application:
    """Answer plain reports of events; `application` answers everything else. For WSGI: the thread waits."""

    def wrapped(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if (report := plain_report(environ)) is not None:
            answers: SimpleQueue[Answer] = SimpleQueue()
            ingest().put(Asked(report.call.caller, answers.put, report.event))
            said = report.said(answers.get())
            if said is not None:
                start_response(said.status, said.headers)
                return [said.body]
        return application(environ, start_response)

    return wrapped


class Said(NamedTuple):
    """The whole answer to a plain call."""

    status: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class PlainCall:
    """Who says what, and what each answer to it has in common."""

    caller: Caller
    values: Any
    common: Headers
    environ: Environ

    def said(
        self, status: str, body: bytes, of_the_view: Headers, verdict: Verdict | None, **more: str
    ) -> Said:
        counted = {} if verdict is None else throttling.headers(verdict)
        length = ("Content-Length", str(len(body)))
        return Said(status, [*self.common, *of_the_view, *counted.items(), *more.items(), length], body)

    def unstored(self, answer: Exception | Counted | None, of_the_view: Headers) -> Said | None:
        """None: it is for the ordinary way, which is told what has been counted."""
        if isinstance(answer, Exception):
            return self._database_away(answer, of_the_view)
        if answer is not None:
            self.environ[throttling.COUNTED] = answer.verdict
        return None

    def _database_away(self, error: Exception, of_the_view: Headers) -> Said:
        """What was asked for may have been stored all the same, so it must not be tried again here."""
        away = api_errors.database_failed(error)
        told = orjson.dumps(away.data)
        retry_after = {"Retry-After": away["Retry-After"]}
        return self.said("503 Service Unavailable", told, of_the_view, None, **retry_after)


@dataclass(frozen=True)
class PlainReport:
    """A plain call that reports an event."""

    call: PlainCall
    event: CustomEvent

    def said(self, answer: Answer) -> Said | None:
        """What the caller is told; None if that is for the ordinary way to say."""
        if isinstance(answer, Stored):
            if settings.TRACING:
                from delivery import spans

                spans.event_stored(answer.event)
            told = {"event_id": answer.event.event_id, "subscriptions": answer.event.recipients}
            return self.call.said("202 Accepted", orjson.dumps(told), OF_THE_VIEW, answer.verdict)
        return self.call.unstored(answer, OF_THE_VIEW)


def plain_report(environ: Environ) -> PlainReport | None:
    """The report of an event, if this is one and nothing about it is out of the ordinary."""
    if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
        return None
    call = plain_call(environ, most_bytes=BODY_MAX_BYTES)
    event = None if call is None else plain_event(call.caller.organization, call.values)
    return None if call is None or event is None else PlainReport(call, event)


def plain_call(environ: Environ, *, most_bytes: int) -> PlainCall | None:
    """The call, if nothing about it is out of the ordinary. Asks nobody: it never waits but for the body."""
    if (
        environ.get("QUERY_STRING")
        or environ.get("CONTENT_TYPE", "").lower() not in JSON_TYPES
        or environ.get("HTTP_ACCEPT", "") not in ACCEPTED
        or any(name in environ for name in NOT_PLAIN)
    ):
        return None
    caller = _caller(environ)
    raw = None if caller is None else _body(environ, most_bytes)
    common = None if raw is None else common_headers(*map(environ.get, ADDRESSED))
    if caller is None or raw is None or common is None:
        return None
    try:
        return PlainCall(caller, parsed(raw), common, environ)
    except APIException:
        return None


def _body(environ: Environ, most_bytes: int) -> bytes | None:
    """The body, which can be read again after."""
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal() or int(length) > most_bytes:
        return None
    raw: bytes = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(raw)
    return raw if len(raw) == int(length) else None


def _caller(environ: Environ) -> Caller | None:
    """The caller, if the key was seen a moment ago; else the ordinary way looks it up."""
    text = presented_key(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"))
    key = kept_key(hash_api_key(text)) if text else None
    if key is None or Scope.RUNS_WRITE not in key.scopes:
        return None
    return Caller(key.organization, frozenset(key.scopes), key)


def plain_event(organization: Organization, values: Any) -> CustomEvent | None:
    """The event, if its values are beyond doubt: what EventInput would make of them, or None."""
    if not isinstance(values, dict) or not values.keys() <= {"event_type", "data", "event_id"}:
        return None
    event_type, data, event_id = values.get("event_type"), values.get("data"), values.get("event_id", "")
    if not isinstance(event_type, str) or not is_custom_name(event_type) or not isinstance(data, dict):
        return None
    if "event_id" in values and not (isinstance(event_id, str) and EVENT_IDS.fullmatch(event_id)):
        return None
    return CustomEvent(organization=organization, event_type=event_type, data=data, event_id=event_id or None)


@lru_cache(maxsize=256)
def common_headers(*addressed: str | None) -> Headers | None:
    """What the middleware adds to an answer; None if it answers such a request itself.

    Found out by sending one through it, so that host names, redirects to https and headers are as
    the settings say. Nothing in it depends on more of a plain request than on these.
    """
    environ: Environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.input": io.BytesIO()}
    environ |= {"REQUEST_METHOD": "POST", "PATH_INFO": PATH}
    environ |= {name: value for name, value in zip(ADDRESSED, addressed, strict=True) if value is not None}
    response = middleware()(WSGIRequest(environ))
    if response.status_code != 202 or response.cookies:
        return None
    own = {name.lower() for name, _ in OF_THE_VIEW} | {"content-length"}
    return [(name, value) for name, value in response.items() if name.lower() not in own]


@lru_cache(maxsize=1)
def middleware() -> Callable[[HttpRequest], HttpResponseBase]:
    """All of it, around an answer as the view gives it."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse(status=202, headers={"Content-Type": "application/json"})

    inner: Any = answer
    for path in reversed(settings.MIDDLEWARE):
        inner = convert_exception_to_response(import_string(path)(inner))
    return cast("Callable[[HttpRequest], HttpResponseBase]", inner)


def prepare() -> None:
    """For this process, before its first call: WhiteNoise looks at all files when it is made."""
    middleware()
