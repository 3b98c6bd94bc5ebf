"""`Idempotency-Key`: a call that may be made again until it is answered, and is carried out once."""

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.api.base import OrganizationViewSet
from subscriptions.idempotency import HEADER, Answer, Call, digest, once
from webhooks_project.errors import InvalidInput
from webhooks_project.renderers import EscapingJSONRenderer

REPLAYED = "Idempotency-Replayed"
KEY_MAX_CHARACTERS = 255
# What a header can carry unharmed, without blanks.
_KEY = re.compile(rf"[\x21-\x7e]{{1,{KEY_MAX_CHARACTERS}}}")

PARAMETER = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": KEY_MAX_CHARACTERS, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="The same key, path and body again get the first answer again, and nothing is done twice.",
)

Method = TypeVar("Method", bound=Callable[..., Any])
Row = TypeVar("Row", bound=Model)


def takes_idempotency_key(method: Method) -> Method:
    """For a view's method that sees to the key itself, by `made_once`."""
    method.takes_idempotency_key = True  # type: ignore[attr-defined]
    described: Method = extend_schema(parameters=[PARAMETER])(method)
    return described


def idempotent(method: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """For a view's method that creates something: with a key, the whole call is one transaction.

    Not for one that waits for a receiver, for no transaction is open while a socket is.
    """

    @wraps(method)
    def wrapped(view: OrganizationViewSet, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        call = _call(view)
        if call is None:
            return method(view, request, *args, **kwargs)
        answer, is_known = once(call, lambda: _answer(method(view, request, *args, **kwargs)))
        _say(view, is_known)
        return HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)

    return takes_idempotency_key(wrapped)


def made_once(view: OrganizationViewSet, make: Callable[[], Row], find: Callable[[UUID], Row]) -> Row:
    """What `make` makes, or what it made for an earlier call with the same key, by its id.

    For calls whose answer is known later: it is worked out again from the row.
    """
    call = _call(view)
    if call is None:
        return make()
    made: list[Row] = []

    def carry_out() -> Answer:
        made.append(make())
        return Answer(202, "text/plain", str(made[0].pk).encode())

    answer, is_known = once(call, carry_out)
    _say(view, is_known)
    return find(UUID(answer.body.decode())) if is_known else made[0]


def _call(view: OrganizationViewSet) -> Call | None:
    request, caller = view.request, view.caller
    key: str | None = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{HEADER}: 1 to {KEY_MAX_CHARACTERS} visible ASCII characters",
            field=HEADER,
            code="bad_idempotency_key",
        )
    # Of the values and not of the bytes: the same values written otherwise are the same call.
    asked = json.dumps(request.data, sort_keys=True)
    return Call(
        organization_id=caller.organization.pk,
        caller=f"key:{caller.key.pk}" if caller.key is not None else f"user:{request.user.pk}",
        path=request.path,
        key=key,
        fingerprint=digest(str(request.method), request.get_full_path(), asked),
    )


def _answer(response: HttpResponse) -> Answer:
    assert 200 <= response.status_code < 300, "a view raises what it refuses, so that nothing is kept of it"
    if isinstance(response, Response):
        body = EscapingJSONRenderer().render(response.data)
        return Answer(response.status_code, "application/json", body)
    return Answer(response.status_code, response["Content-Type"], response.content)


def _say(view: OrganizationViewSet, is_known: bool) -> None:
    if is_known:
        view.headers[REPLAYED] = "true"
