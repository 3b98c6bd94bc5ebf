"""In and out."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from portal import access
from portal.access import LINK, Ticket
from portal.pages import MEDIA, ended


@require_GET
def enter(request: HttpRequest) -> HttpResponse:
    """Exchange the link for a session. The next address has no token in it, and no site is told of this."""
    ticket = Ticket.read(request.GET.get("token", ""), LINK)
    if ticket is None or access.visitor_with(ticket) is None:
        response = ended(request)
    else:
        response = HttpResponseRedirect(access.home(ticket.organization))
        access.open_session(response, ticket)
    response["Referrer-Policy"] = "no-referrer"
    return response


@require_POST
def leave(request: HttpRequest, organization_id: str) -> HttpResponse:
    """End the session in this browser."""
    response = render(request, "portal/left.html", {"media": MEDIA})
    access.end_session(response, organization_id)
    return response
