"""Composition of the apps' URLs."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from delivery.admin.overview import start_page
from runs.dialects import profiles
from subscriptions.admin.login import ThrottledLogInForm
from subscriptions.admin.users import own_password_change
from webhooks_project.health import healthz, metrics, readyz

admin.site.login_form = ThrottledLogInForm
admin.site.index_template = "admin/overview.html"
admin.site.site_header = admin.site.site_title = "Runhooks"

urlpatterns = [
    path("", RedirectView.as_view(url="/docs", permanent=False)),
    # Asked for by browsers on pages that name none.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}subscriptions/favicon.svg")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
    path("v1/", include("subscriptions.api.urls")),
    path("v1/", include("delivery.api.urls")),
    path("v1/", include("runs.api.urls")),
    path("v1/", include("portal.api.urls")),
    path("portal/", include("portal.urls")),
    *(
        path(f"{profile.base_path}/", include(profile.urls))
        for profile in profiles().values()
        if profile.urls
    ),
    path(
        "openapi.json",
        SpectacularAPIView.as_view(
            renderer_classes=[OpenApiJsonRenderer], authentication_classes=[], permission_classes=[]
        ),
        name="openapi",
    ),
    path(
        "docs",
        # Its script is an answer of its own, so that none has to be in the page.
        SpectacularSwaggerSplitView.as_view(
            url_name="openapi", authentication_classes=[], permission_classes=[], http_method_names=["get"]
        ),
    ),
    path("admin/password_change/", admin.site.admin_view(own_password_change)),
    path("admin/", admin.site.admin_view(start_page)),
    path("admin/", admin.site.urls),
]

handler400 = "webhooks_project.api_errors.bad_request"
handler404 = "webhooks_project.api_errors.not_found"
handler500 = "webhooks_project.api_errors.fault"
