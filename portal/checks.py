"""The system check of the portal's settings."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def check_lifetimes(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.PORTAL_LINK_LIFETIME_SECONDS <= settings.PORTAL_LINK_LIFETIME_MAX_SECONDS:
        return []
    return [
        Error(
            "PORTAL_LINK_LIFETIME_SECONDS exceeds PORTAL_LINK_LIFETIME_MAX_SECONDS.",
            hint="Lower the first or raise the second.",
            id="runhooks.E030",
        )
    ]
