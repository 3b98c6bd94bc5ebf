"""Shapes of links to the portal."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from subscriptions.api.fields import StrictBooleanField, StrictCharField, StrictIntegerField
from subscriptions.api.serializers import RefusesUnknownFields

NAME_MAX_CHARACTERS = 100
LIFETIME_MIN_SECONDS = 10


@extend_schema_field(
    {
        "type": "integer",
        "minimum": LIFETIME_MIN_SECONDS,
        "maximum": settings.PORTAL_LINK_LIFETIME_MAX_SECONDS,
        "default": settings.PORTAL_LINK_LIFETIME_SECONDS,
    }
)
class LifetimeField(StrictIntegerField):
    """Seconds."""


class PortalLinkInput(RefusesUnknownFields):
    """How long the link can be opened, whether its pages change anything, and who it is for."""

    lifetime_seconds = LifetimeField(
        required=False,
        min_value=LIFETIME_MIN_SECONDS,
        max_value=settings.PORTAL_LINK_LIFETIME_MAX_SECONDS,
    )
    read_only = StrictBooleanField(required=False)  # type: ignore[assignment]  # a declared field
    name = StrictCharField(max_length=NAME_MAX_CHARACTERS, required=False, allow_blank=True)


class PortalLinkOutput(serializers.Serializer[Any]):
    """A link to the organization's pages: whoever opens it by then gets a session there."""

    url = serializers.CharField()
    expires_at = serializers.DateTimeField()
