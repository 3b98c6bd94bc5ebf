"""What all pages have in common: who may see them, and how a refusal looks."""

import math
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import wraps
from typing import Any

from django import forms
from django.db import InterfaceError, OperationalError
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from portal import access
from portal.access import Visitor
from subscriptions import audit
from subscriptions.api import throttling
from subscriptions.audit_entry import ActorKind
from subscriptions.middleware import actor
from subscriptions.models import Scope
from webhooks_project.api_errors import database_failed
from webhooks_project.errors import DomainError, InvalidInput, NotFound

View = Callable[..., HttpResponse]
READ, POST, FORM = ("GET", "HEAD"), ("POST",), ("GET", "HEAD", "POST")

# Templates have no tags for scripts in them (tests/integration/test_pages.py).
# The stubs know texts only.
SCRIPTS: Any = [Script("portal/portal.js", defer=True)]
MEDIA = forms.Media(css={"all": ["portal/portal.css"]}, js=SCRIPTS)
# What a page says after something was done: its address names it, so that reloading repeats nothing.
DONE = {
    "created": "The subscription was created.",
    "saved": "Your changes were saved.",
    "enabled": "The subscription is on.",
    "disabled": "The subscription is off: nothing is sent to it any more.",
    "deleted": "The subscription was deleted.",
    "recovered": "What was held is being sent now.",
    "replayed": "This is the new delivery of the same event. It is being sent now.",
    "tested": "The test event was sent. Its attempt is below as soon as the receiver has answered.",
    "started": "The replay has begun.",
    "cancelled": "The replay was cancelled. What it has sent so far stays sent.",
    "upgraded": "New runs send this version. Runs under way keep theirs.",
}


def page(*scopes: str, methods: Collection[str] = READ) -> Callable[[View], View]:
    """For a view of somebody with a session for this organization, whose key has the scopes."""

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, organization_id: str, **kwargs: Any) -> HttpResponse:
            try:
                visitor = access.of_request(request, organization_id)
                if visitor is None:
                    return ended(request)
                try:
                    _admit(request, visitor, scopes, kwargs)
                    return view(request, visitor, **kwargs)
                except (DomainError, Http404) as error:
                    return refused(request, visitor, error)
            except (OperationalError, InterfaceError) as error:
                told = database_failed(error)
                return problem(request, told.status_code, told.data["detail"], told.headers)

        return require_http_methods(list(methods))(wrapped)

    return decorate


def _admit(request: HttpRequest, visitor: Visitor, scopes: Collection[str], kwargs: dict[str, Any]) -> None:
    """Counted, known to the audit, and with the scopes; raises DomainError."""
    # Not in the key's: a platform has one for all of its customers, and none is to use up its rate.
    verdict = throttling.count(replace(visitor.caller, key=None))
    if verdict is not None and not verdict.is_allowed:
        raise throttling.RateLimitExceeded(retry_after_seconds=verdict.wait_seconds)
    audit.now_acting(actor(ActorKind.PORTAL, visitor.actor, request))
    if not all(map(visitor.may, scopes)):
        raise NotAllowed
    if any("\x00" in str(text) for text in (*kwargs.values(), *request.GET.values())):
        raise InvalidInput("NUL characters are not allowed in addresses.", code="bad_character")


class NotAllowed(DomainError):
    """Your link does not allow this. Ask whoever gave it to you for another one."""

    status = 403
    code = "not_allowed"


def shown(
    request: HttpRequest, visitor: Visitor, template: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    """A page of the visitor's organization."""
    may = {
        "see_log": visitor.may(Scope.DELIVERIES_READ),
        "replay": visitor.may(Scope.DELIVERIES_REPLAY),
        "edit": visitor.may(Scope.WEBHOOKS_WRITE),
        "see_workflows": visitor.may(Scope.RUNS_READ),
    }
    known = {
        "visitor": visitor,
        "org": visitor.organization.public_id,
        "may": may,
        "media": MEDIA,
        "message": DONE.get(request.GET.get("done", "")),
    }
    return render(request, f"portal/{template}.html", known | context, status=status)


def done(visitor: Visitor, name: str, message: str, *args: Any) -> HttpResponse:
    """On to the page of this name, which says that it is done."""
    assert message in DONE
    path = reverse(f"portal:{name}", args=[visitor.organization.public_id, *args])
    return HttpResponseRedirect(f"{path}?done={message}")


def refused(request: HttpRequest, visitor: Visitor, error: DomainError | Http404) -> HttpResponse:
    """A page that says what was wrong, in the same frame."""
    if isinstance(error, Http404 | NotFound):
        return shown(request, visitor, "problem", status=404, text="There is no such thing here.")
    response = shown(request, visitor, "problem", status=error.status, text=error.detail)
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    return response


def ended(request: HttpRequest) -> HttpResponse:
    text = "Your link has expired, or it was withdrawn. Go back to where you found it for a new one."
    return problem(request, 403, text)


def problem(request: HttpRequest, status: int, text: str, headers: Any = None) -> HttpResponse:
    """A page for somebody who is not known."""
    response = render(request, "portal/problem.html", {"media": MEDIA, "text": text}, status=status)
    if headers and "Retry-After" in headers:
        response["Retry-After"] = headers["Retry-After"]
    return response
