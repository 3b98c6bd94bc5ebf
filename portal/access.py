"""Who may see an organization's pages: a link that the platform makes, and the session that it opens.

Neither is a row. Both are a `Ticket`, signed with SECRET_KEY, which names an API key and an organization:
whoever has it may do what that key may do there at this moment, but nothing beyond the pages. So a link
ends with its key; all links of an organization end when its `portal_generation` is raised.
"""

from dataclasses import asdict, dataclass, replace
from typing import Self

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from subscriptions.api.authentication import Caller, UnknownOrganization, organization_of
from subscriptions.known_keys import valid_key
from subscriptions.models import Organization, Scope

# A link is not a session, and neither is anything else that is signed here. The number tells forms apart.
LINK, SESSION = "portal.link.1", "portal.session.1"
READING = frozenset({Scope.WEBHOOKS_READ, Scope.DELIVERIES_READ, Scope.RUNS_READ})
CHANGING = frozenset({Scope.WEBHOOKS_WRITE, Scope.DELIVERIES_REPLAY, Scope.RUNS_WRITE})


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a link and a session say."""

    #: of the API key that made the link; a hash opens nothing, and tells nothing of how many keys there are
    key_hash: str
    organization: str
    generation: int
    #: who it is for, in the platform's words
    name: str
    read_only: bool
    #: Unix seconds
    ends_at: int

    def signed(self, purpose: str) -> str:
        return signing.dumps(asdict(self), salt=purpose)

    @classmethod
    def read(cls, text: str, purpose: str) -> Self | None:
        """None for what was not signed here for this purpose, and for what has ended."""
        try:
            ticket = cls(**signing.loads(text, salt=purpose))
        except signing.BadSignature:
            return None
        return ticket if ticket.ends_at > timezone.now().timestamp() else None


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Somebody with a ticket that counts at this moment."""

    ticket: Ticket
    caller: Caller

    @property
    def organization(self) -> Organization:
        return self.caller.organization

    @property
    def actor(self) -> str:
        """For the audit: who, and with whose link."""
        assert self.caller.key is not None
        prefix = self.caller.key.prefix
        return f"{self.ticket.name} ({prefix})" if self.ticket.name else prefix

    def may(self, scope: str) -> bool:
        return self.caller.may(scope)


def visitor_with(ticket: Ticket) -> Visitor | None:
    """None if its API key, or all links of its organization, have ended since."""
    key = valid_key(ticket.key_hash)
    if key is None:
        return None
    try:
        known = organization_of(key, ticket.organization)
    except UnknownOrganization:
        return None
    # Of this moment: a process remembers a key's organization for some seconds.
    organization = Organization.objects.filter(pk=known.pk, portal_generation=ticket.generation).first()
    if organization is None:
        return None
    scopes = frozenset(key.scopes) & (READING if ticket.read_only else READING | CHANGING)
    return Visitor(ticket=ticket, caller=Caller(organization, scopes, key))


def of_request(request: HttpRequest, organization_id: str) -> Visitor | None:
    """Whose session the request comes with, if it is for this organization."""
    ticket = Ticket.read(request.COOKIES.get(settings.PORTAL_COOKIE_NAME, ""), SESSION)
    if ticket is None or ticket.organization != organization_id:
        return None
    return visitor_with(ticket)


def open_session(response: HttpResponse, link: Ticket) -> None:
    seconds = settings.PORTAL_SESSION_MAX_SECONDS
    session = replace(link, ends_at=int(timezone.now().timestamp()) + seconds)
    response.set_cookie(
        settings.PORTAL_COOKIE_NAME,
        session.signed(SESSION),
        max_age=seconds,
        # Two organizations in one browser have a session each, and no form of one reaches the other.
        path=home(link.organization),
        secure=settings.PRODUCTION,
        httponly=True,
        # Strict would not come along when the platform's own page leads here.
        samesite="Lax",
    )


def end_session(response: HttpResponse, organization_id: str) -> None:
    response.delete_cookie(settings.PORTAL_COOKIE_NAME, path=home(organization_id), samesite="Lax")


def home(organization_id: str) -> str:
    return reverse("portal:subscriptions", args=[organization_id])
