"""Who calls, and for which organization.

API keys come as `Authorization: Bearer …` or `X-API-Key: …`; `X-Org-Id` picks one of the key's
organizations, else its default one counts. Administrators who are logged in may use the browsable API.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Manager, QuerySet
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from subscriptions import audit
from subscriptions.audit_entry import ActorKind
from subscriptions.key_use import note
from subscriptions.keys import hash_api_key
from subscriptions.known_keys import valid_key
from subscriptions.middleware import actor
from subscriptions.models import ApiKey, Organization, Scope
from webhooks_project.errors import NotFound

ORGANIZATION_HEADER = "X-Org-Id"


@dataclass(frozen=True)
class Caller:
    """What a request may do: `request.auth`."""

    organization: Organization
    scopes: frozenset[str]
    key: ApiKey | None

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def sees_full_urls(self, scope: str) -> bool:
        """A key with the scope to read them; a person's page shows their queries masked."""
        return self.key is not None and self.may(scope)


class UnknownOrganization(NotFound):
    """The key is good, but not for the organization that X-Org-Id names."""

    def __init__(self, wanted: str, key: ApiKey) -> None:
        super().__init__(f"Organization {wanted[:64]} not found", field=ORGANIZATION_HEADER)
        #: who is to be counted: the key, at home, where it may do nothing with this call
        self.caller = Caller(key.organization, frozenset(), key)


def presented_key(authorization: str | None, api_key: str | None) -> str | None:
    """The key that a call with these two headers brings; a bearer's counts, if there are both."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else api_key


class ApiKeyAuthentication(BaseAuthentication):
    """Looks a key up by its hash: the time that takes tells nothing about the key."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        text = presented_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))
        if text is None:
            return None
        key = valid_key(hash_api_key(text))
        if key is None:
            raise AuthenticationFailed("The API key is unknown, expired or revoked.", code="bad_api_key")
        note(key)
        organization = organization_of(key, request.headers.get(ORGANIZATION_HEADER))
        audit.now_acting(actor(ActorKind.API_KEY, key.prefix, request))
        return AnonymousUser(), Caller(organization, frozenset(key.scopes), key)

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="runhooks"'


class AdministratorAuthentication(SessionAuthentication):
    """A logged-in superuser, for the browsable API: in the oldest organization unless X-Org-Id names one."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, Any] | None:
        found = super().authenticate(request)
        if found is None or not found[0].is_superuser:
            return None
        wanted = request.headers.get(ORGANIZATION_HEADER)
        rows = Organization.objects.order_by("pk")
        organization = _named(rows, wanted) if wanted else rows.first()
        if organization is None:
            raise NotFound("There is no such organization.")
        return found[0], Caller(organization, frozenset(Scope.values), None)


def organization_of(key: ApiKey, wanted: str | None) -> Organization:
    """The one that is wanted, else the key's default one; raises UnknownOrganization."""
    if wanted is None or wanted == key.organization.public_id:
        return key.organization
    # The platform's operator acts for every organization; other keys for those they were given.
    rows = Organization.objects if Scope.ORGANIZATIONS_WRITE in key.scopes else key.organizations
    organization = _named(rows, wanted)
    if organization is None:
        raise UnknownOrganization(wanted, key)
    return organization


def _named(rows: Manager[Organization] | QuerySet[Organization], public_id: str) -> Organization | None:
    # PostgreSQL's texts know no NUL.
    return None if "\x00" in public_id else rows.filter(public_id=public_id).first()
