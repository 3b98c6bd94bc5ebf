"""URLs under /leaperone/."""

from django.urls import path

from runs.dialects.leaperone.api import ImageGenerationViewSet

urlpatterns = [
    path("v1/images/generations", ImageGenerationViewSet.as_view({"post": "create"})),
    path("v1/images/generations/<str:task_id>", ImageGenerationViewSet.as_view({"get": "retrieve"})),
]
