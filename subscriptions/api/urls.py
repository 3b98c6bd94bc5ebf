"""URLs under /v1/."""

from django.urls import path

from subscriptions.api.views import (
    ApiKeyViewSet,
    MyOrganizationsViewSet,
    OrganizationsViewSet,
    SubscriptionViewSet,
)

urlpatterns = [
    path("webhooks", SubscriptionViewSet.as_view({"get": "list", "post": "create"})),
    path(
        "webhooks/<int:subscription_id>",
        SubscriptionViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
    ),
    path(
        "webhooks/<int:subscription_id>/rotate-secret", SubscriptionViewSet.as_view({"post": "rotate_secret"})
    ),
    path("users/me/organizations", MyOrganizationsViewSet.as_view({"get": "list"})),
    path("organizations", OrganizationsViewSet.as_view({"get": "list", "post": "create"})),
    path("organizations/<str:organization_id>", OrganizationsViewSet.as_view({"get": "retrieve"})),
    path(
        "organizations/<str:organization_id>/rotate-secret",
        OrganizationsViewSet.as_view({"post": "rotate_secret"}),
    ),
    path(
        "organizations/<str:organization_id>/api-keys",
        ApiKeyViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "organizations/<str:organization_id>/api-keys/<int:key_id>",
        ApiKeyViewSet.as_view({"delete": "destroy"}),
    ),
]
