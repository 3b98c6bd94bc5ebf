"""Links to the portal: `POST` makes one, `DELETE` ends all of them."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from portal import services
from portal.api import serializers as shapes
from subscriptions.api.base import OrganizationViewSet, valid
from subscriptions.api.idempotency import idempotent
from subscriptions.models import Scope


class PortalLinksViewSet(OrganizationViewSet):
    """The pages of an organization, for the customer's own people."""

    # The pages do what the key may, so making a link takes no more than seeing the first of them.
    action_scopes = {"create": Scope.WEBHOOKS_READ, "revoke": Scope.WEBHOOKS_WRITE}

    @extend_schema(request=shapes.PortalLinkInput, responses={201: shapes.PortalLinkOutput})
    @idempotent
    def create(self, request: Request) -> Response:
        """A link to the pages of the organization, which may there do what this key may."""
        values = valid(shapes.PortalLinkInput, request.data)
        key = self.caller.key
        if key is None:
            raise PermissionDenied("A link stands for the API key that made it.", code="needs_api_key")
        url, expires_at = services.link_create(organization=self.organization, key=key, **values)
        answer = shapes.PortalLinkOutput({"url": url, "expires_at": expires_at})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def revoke(self, request: Request) -> Response:
        """End all links to the organization's pages, and the sessions that they opened."""
        services.links_revoke(self.organization)
        return Response(status=status.HTTP_204_NO_CONTENT)
