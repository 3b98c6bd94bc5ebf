"""The one place that turns errors into answers.

Every error has the same shape: `detail` (a sentence), `code` (stable, for programs), `field` (the
offending one, or null); where several fields are wrong, `errors` lists all of them.
"""

import logging
import math
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.csrf import csrf_failure as default_csrf_failure
from django.views.defaults import bad_request as default_bad_request
from django.views.defaults import page_not_found, server_error
from psycopg2.extensions import TransactionRollbackError
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from webhooks_project.errors import DomainError

logger = logging.getLogger(__name__)

DATABASE_RETRY_SECONDS = 5
# Pages for people answer in HTML, everything else in JSON.
PAGES = ("/admin/", "/portal/")
FAULT = "Something went wrong here; it has been logged."


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook: the answer to an exception, or None to let it pass as a fault of ours.

    A view may put the common shape into another system's envelope: `error_envelope(status, body)`.
    """
    response = _answer(error, context)
    envelope = getattr(context["view"], "error_envelope", None)
    if envelope is None:
        return response
    if response is None:
        # Django's own handler for faults would answer without the envelope.
        logger.error("fault at %s", context["request"].path, exc_info=error)
        set_rollback()
        response = Response(body(FAULT, "internal_error"), status=status.HTTP_500_INTERNAL_SERVER_ERROR)
    response.data = envelope(response.status_code, response.data)
    return response


def _answer(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, DomainError):
        wait = error.retry_after_seconds
        if error.status >= status.HTTP_500_INTERNAL_SERVER_ERROR:
            logger.error("%s at %s: %s", error.error_code, context["request"].path, error.detail)
        return Response(
            body(error.detail, error.error_code, error.field),
            status=error.status,
            headers=None if wait is None else {"Retry-After": str(max(1, math.ceil(wait)))},
        )
    if isinstance(error, OperationalError | InterfaceError):
        return database_failed(error)
    response = exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, ValidationError):
        response.status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
        response.data = validation_body(error.detail)
    elif isinstance(error, APIException):
        detail = error.detail
        code = detail.code if isinstance(detail, ErrorDetail) else error.default_code
        response.data = body(str(detail), str(code))
    elif isinstance(error, Http404):
        response.data = body("There is no such thing.", "not_found")
    elif isinstance(error, PermissionDenied):
        response.data = body("You may not do this.", "permission_denied")
    return response


def database_failed(error: Exception) -> Response:
    """What was asked for can be asked again, in a moment: the database may be back by then."""
    if isinstance(error.__cause__, TransactionRollbackError):
        # It is there, and has ended one of those that waited for each other. Nothing is left of it.
        logger.warning("ended by the database: %s", str(error).strip())
        said, seconds = body("This met another call; try again.", "conflict_try_again"), 1
    else:
        logger.error("database away: %s", str(error).strip())
        said = body("The database is away; try again in a moment.", "database_away")
        seconds = DATABASE_RETRY_SECONDS
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Response(said, status=status_code, headers={"Retry-After": str(seconds)})


def body(detail: str, code: str, field: str | None = None) -> dict[str, Any]:
    return {"detail": detail, "code": code, "field": field}


def validation_body(detail: Any) -> dict[str, Any]:
    """The first wrong field in the common keys, all of them in `errors` if there are several."""
    errors = [
        body(f"{field}: {text}" if field else str(text), str(text.code), field or None)
        for field, text in _flatten(detail)
    ]
    first = dict(errors[0])
    return first | {"errors": errors} if len(errors) > 1 else first


def _flatten(detail: Any, path: str = "") -> Iterator[tuple[str, ErrorDetail]]:
    if isinstance(detail, dict):
        for name, value in detail.items():
            inner = "" if name == "non_field_errors" else str(name)
            yield from _flatten(value, ".".join(part for part in (path, inner) if part))
    elif isinstance(detail, list):
        for value in detail:
            yield from _flatten(value, path)
    else:
        yield path, detail


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For what Django refuses before any view, such as a Host that is not ours."""
    if request.path.startswith(PAGES):
        return default_bad_request(request, exception)
    return JsonResponse(body("The request is not acceptable.", "bad_request"), status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Forms need their token; programs send an API key instead of a session."""
    if request.path.startswith(PAGES):
        return default_csrf_failure(request, reason=reason)
    return JsonResponse(body("This needs an API key, or a page's own form.", "csrf_failed"), status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For addresses that no view has."""
    if request.path.startswith(PAGES):
        return page_not_found(request, exception)
    return JsonResponse(body(f"There is nothing at {request.path}.", "not_found"), status=404)


def fault(request: HttpRequest) -> HttpResponse:
    """For faults of ours: the log has the trace, the caller a stable shape."""
    if request.path.startswith(PAGES):
        return server_error(request)
    return JsonResponse(body(FAULT, "internal_error"), status=500)
