"""URLs under /leaperone/."""

from django.urls import path, re_path

from runs.dialects.leaperone.api import ImageGenerationViewSet
from runs.dialects.leaperone.errors import envelope
from runs.dialects.views import UnknownAddress

urlpatterns = [
    path("v1/images/generations", ImageGenerationViewSet.as_view({"post": "create"})),
    path("v1/images/generations/<str:task_id>", ImageGenerationViewSet.as_view({"get": "retrieve"})),
    re_path("", UnknownAddress.as_view(error_envelope=envelope)),
]
