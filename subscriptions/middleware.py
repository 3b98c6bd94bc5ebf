"""Who acts in a request, for `subscriptions/audit.py`."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from subscriptions import audit
from subscriptions.audit_entry import ActorKind
from subscriptions.client_address import address_of


class ActorMiddleware:
    """The logged-in user, unless the API's authentication finds a key; forgotten after the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with audit.acting(lambda: user_of(request)):
            return self.get_response(request)


def user_of(request: HttpRequest) -> audit.Actor:
    user = request.user
    return actor(ActorKind.USER, audit.account(user) if user.is_authenticated else "", request)


def actor(kind: ActorKind, name: str, request: HttpRequest) -> audit.Actor:
    address = address_of(request)
    return audit.Actor(kind, name, None if address is None else str(address))
