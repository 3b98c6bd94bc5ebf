"""The subscription API (seed 001), and the operator's API for organizations and their keys."""

from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions import selectors, services
from subscriptions.api import serializers as shapes
from subscriptions.api.base import (
    LIMIT_DEFAULT,
    LIMIT_MAX,
    OFFSET_MAX,
    ListQuery,
    OrganizationViewSet,
    in_order,
    page,
    page_of,
    valid,
)
from subscriptions.api.idempotency import idempotent
from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, Scope

PAGING = [ListQuery]
# Without a limit the list of subscriptions has all of them.
PAGING_IF_WANTED = [
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
    OpenApiParameter("offset", {"type": "integer", "minimum": 0, "maximum": OFFSET_MAX, "default": 0}),
    OpenApiParameter(
        "ordering", {"enum": ["created_at", "-created_at"]}, description="Oldest first; newest first."
    ),
]


class SubscriptionViewSet(OrganizationViewSet):
    """Webhook subscriptions of the organization."""

    read_scope = Scope.WEBHOOKS_READ
    write_scope = Scope.WEBHOOKS_WRITE

    @extend_schema(parameters=PAGING_IF_WANTED, responses=page_of("webhooks", shapes.SubscriptionOutput))
    def list(self, request: Request) -> Response:
        """All subscriptions, oldest first; without `limit` really all of them, as seed 001 says."""
        rows = selectors.of_organization(self.organization).prefetch_related("signing_secrets")
        if "limit" in request.query_params:
            return page(request, "webhooks", rows, shapes.SubscriptionOutput, self.owners_view)
        query = valid(ListQuery, request.query_params)
        offset, ordered = query["offset"], in_order(rows, query.get("ordering"))
        items = shapes.SubscriptionOutput(ordered[offset:], many=True, context=self.owners_view).data
        total = rows.count()
        return Response(
            {"webhooks": items, "total": total, "limit": max(LIMIT_DEFAULT, total), "offset": offset}
        )

    @extend_schema(request=shapes.SubscriptionInput, responses={201: shapes.SubscriptionCreated})
    @idempotent
    def create(self, request: Request) -> Response:
        values = valid(shapes.SubscriptionInput, request.data)
        subscription, secret = services.subscription_create(organization=self.organization, values=values)
        subscription.signing_secret = secret  # type: ignore[attr-defined]
        return Response(
            shapes.SubscriptionCreated(subscription, context=self.owners_view).data,
            status=status.HTTP_201_CREATED,
        )

    @extend_schema(responses=shapes.SubscriptionOutput)
    def retrieve(self, request: Request, subscription_id: int) -> Response:
        subscription = selectors.subscription_get(self.organization, subscription_id)
        return Response(shapes.SubscriptionOutput(subscription, context=self.owners_view).data)

    @extend_schema(request=shapes.SubscriptionInput(partial=True), responses=shapes.SubscriptionOutput)
    def partial_update(self, request: Request, subscription_id: int) -> Response:
        """Only the given fields change; null clears `secret`, `headers` and other optional ones."""
        selectors.subscription_get(self.organization, subscription_id)
        values = valid(shapes.SubscriptionInput, request.data, partial=True)
        subscription = services.subscription_update(
            organization=self.organization, subscription_id=subscription_id, values=values
        )
        return Response(shapes.SubscriptionOutput(subscription, context=self.owners_view).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, subscription_id: int) -> Response:
        services.subscription_delete(organization=self.organization, subscription_id=subscription_id)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=shapes.RotateInput, responses=shapes.RotateOutput)
    @idempotent
    def rotate_secret(self, request: Request, subscription_id: int) -> Response:
        """A new Standard Webhooks secret; the old one signs beside it for the overlap (default a day)."""
        subscription = selectors.subscription_get(self.organization, subscription_id)
        values = valid(shapes.RotateInput, request.data)
        rotation = services.signing_secret_rotate(
            organization=self.organization, subscription=subscription, **values
        )
        return Response(shapes.RotateOutput(rotation).data)


class MyOrganizationsViewSet(OrganizationViewSet):
    """Which organizations the key acts for (as ELAN AI Bridge's callers ask it)."""

    @extend_schema(responses=shapes.MyOrganizations)
    def list(self, request: Request) -> Response:
        """The key's organizations; the active one is that of X-Org-Id, else the key's default."""
        key = self.caller.key
        own = [self.organization] if key is None else [key.organization, *key.organizations.order_by("pk")]
        organizations = {o.pk: o for o in [*own, self.organization]}.values()
        return Response(
            {
                "active_organization_id": self.organization.public_id,
                "organizations": [
                    shapes.my_organization(organization, key, active=organization == self.organization)
                    for organization in organizations
                ],
            }
        )


class OrganizationsViewSet(OrganizationViewSet):
    """For the platform's operator: provision customers and their keys without the admin."""

    read_scope = Scope.ORGANIZATIONS_WRITE
    write_scope = Scope.ORGANIZATIONS_WRITE

    @extend_schema(parameters=PAGING, responses=page_of("organizations", shapes.OrganizationOutput))
    def list(self, request: Request) -> Response:
        return page(request, "organizations", Organization.objects.order_by("pk"), shapes.OrganizationOutput)

    @extend_schema(request=shapes.OrganizationInput, responses={201: shapes.OrganizationCreated})
    @idempotent
    def create(self, request: Request) -> Response:
        values = valid(shapes.OrganizationInput, request.data)
        organization, secret = services.organization_create(**values)
        organization.signing_secret = secret  # type: ignore[attr-defined]
        return Response(shapes.OrganizationCreated(organization).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=shapes.OrganizationOutput)
    def retrieve(self, request: Request, organization_id: str) -> Response:
        return Response(shapes.OrganizationOutput(self._get(organization_id)).data)

    @extend_schema(request=shapes.RotateInput, responses=shapes.RotateOutput)
    @idempotent
    def rotate_secret(self, request: Request, organization_id: str) -> Response:
        """A new secret for the organization's callbacks."""
        values = valid(shapes.RotateInput, request.data)
        rotation = services.signing_secret_rotate(organization=self._get(organization_id), **values)
        return Response(shapes.RotateOutput(rotation).data)

    @staticmethod
    def _get(organization_id: str) -> Organization:
        organization = Organization.objects.filter(public_id=organization_id).first()
        if organization is None:
            raise Http404
        return organization


class ApiKeyViewSet(OrganizationsViewSet):
    """API keys of one organization."""

    @extend_schema(parameters=PAGING, responses=page_of("api_keys", shapes.ApiKeyOutput))
    def list(self, request: Request, organization_id: str = "") -> Response:
        rows = ApiKey.objects.filter(organization=self._get(organization_id)).order_by("-pk")
        return page(request, "api_keys", rows, shapes.ApiKeyOutput)

    @extend_schema(request=shapes.ApiKeyInput, responses={201: shapes.ApiKeyCreated})
    @idempotent
    def create(self, request: Request, organization_id: str = "") -> Response:
        """A new key. What goes beyond an organization's own affairs only who holds it can hand out."""
        organization = self._get(organization_id)
        values: dict[str, Any] = valid(shapes.ApiKeyInput, request.data)
        for scope in values.get("scopes", ()):
            if scope not in DEFAULT_SCOPES and not self.caller.may(scope):
                raise PermissionDenied(f"The API key lacks the scope {scope}.", code="missing_scope")
        key, plain = services.api_key_create(organization=organization, **values)
        key.key = plain  # type: ignore[attr-defined]
        return Response(shapes.ApiKeyCreated(key).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, organization_id: str, key_id: int) -> Response:
        """Revoke a key: from now on every request with it is answered 401."""
        key = ApiKey.objects.filter(organization=self._get(organization_id), pk=key_id).first()
        if key is None:
            raise Http404
        services.api_key_revoke(key)
        return Response(status=status.HTTP_204_NO_CONTENT)
