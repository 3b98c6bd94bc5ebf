"""Scopes: each view says which one its methods need."""

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from subscriptions.api.authentication import Caller


class HasScope(BasePermission):
    """`read_scope` for reading, `write_scope` for the rest; `action_scopes` where one action differs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Caller):
            return False  # becomes 401
        scope = self.scope(request, view)
        if scope is not None and not request.auth.may(scope):
            raise PermissionDenied(f"The API key lacks the scope {scope}.", code="missing_scope")
        return True

    @staticmethod
    def scope(request: Request, view: Any) -> str | None:
        by_action: dict[str, str] = getattr(view, "action_scopes", {})
        action = getattr(view, "action", None)
        if action in by_action:
            return by_action[action]
        scope: str | None = view.read_scope if request.method in SAFE_METHODS else view.write_scope
        return scope
