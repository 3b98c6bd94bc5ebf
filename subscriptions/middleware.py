"""Who acts in a request, for `subscriptions/audit.py`."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from subscriptions import audit
from subscriptions.audit_entry import ActorKind


class ActorMiddleware:
    """The logged-in user, unless the API's authentication finds a key; forgotten after the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with audit.acting(lambda: user_of(request)):
            return self.get_response(request)


def user_of(request: HttpRequest) -> audit.Actor:
    return audit.Actor(ActorKind.USER, request.user.get_username(), address_of(request))


def address_of(request: HttpRequest) -> str | None:
    """Of the connection, so behind a proxy the proxy's; None on a Unix socket."""
    return request.META.get("REMOTE_ADDR") or None
