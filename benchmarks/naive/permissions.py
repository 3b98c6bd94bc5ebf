"""Who may call."""

import hmac

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class HasKey(BasePermission):
    """`Authorization: Bearer …` with the one key."""

    def has_permission(self, request: Request, view: object) -> bool:
        said = request.headers.get("Authorization", "")
        return hmac.compare_digest(said.encode(), f"Bearer {settings.API_KEY}".encode())
