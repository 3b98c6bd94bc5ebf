"""Writes JSON answers."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer


class AsciiJSONRenderer(JSONRenderer):
    """Escapes everything beyond ASCII."""

    ensure_ascii = True


class EscapingJSONRenderer(JSONRenderer):
    """Lone surrogates, which JSON can say and UTF-8 cannot, are escaped instead of being a fault."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        try:
            return super().render(data, accepted_media_type, renderer_context)
        except UnicodeEncodeError:
            return AsciiJSONRenderer().render(data, accepted_media_type, renderer_context)
