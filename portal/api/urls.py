"""URLs under /v1/."""

from django.urls import path

from portal.api.views import PortalLinksViewSet

urlpatterns = [
    path("portal/links", PortalLinksViewSet.as_view({"post": "create", "delete": "revoke"})),
]
