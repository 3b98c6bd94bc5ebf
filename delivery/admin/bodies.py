"""Bodies of events, answers of receivers, what runs took and gave: for those who may see bodies."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest

from subscriptions.admin.base import ReadOnlyAdmin

NOT_SHOWN = "Not shown: you lack the permission to see bodies."


def may_see_bodies(request: HttpRequest) -> bool:
    return request.user.has_perm("delivery.see_bodies")


class BodiesAdmin(ReadOnlyAdmin):
    """In place of its `bodies` others are told that these are not shown."""

    bodies: ClassVar[frozenset[str]] = frozenset()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_fields(request, obj)
        if not self.bodies or may_see_bodies(request):
            return fields
        return [*(name for name in fields if name not in self.bodies), "not_shown"]

    @admin.display(description="bodies")
    def not_shown(self, obj: Any) -> str:
        return NOT_SHOWN
