"""Lists of big tables whose filters combine: what no index answers is looked for among the newest rows."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin import FieldListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from delivery.admin.filters import is_scanned_for
from subscriptions.admin.base import BaseAdmin
from subscriptions.admin.filters import EPOCH, TimeRangeFilter

# Of what the other filters find. Reading so many takes about 0.1 s; older ones are a link away.
SCANNED_ROWS_MAX = 50_000


class BoundedChangeList(ChangeList):
    """Knows how far back it looked, and what it would find without that bound (`everything`)."""

    everything: QuerySet[Any]
    looked_back_to: datetime | None = None

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows = self.everything = super().get_queryset(request, *args, **kwargs)
        if not (is_scanned_for(self.query.strip()) or any(map(_is_scanned, self.filter_specs))):
            return rows
        oldest = self._beyond(request)
        if oldest is None:
            return rows
        self.looked_back_to = EPOCH + timedelta(milliseconds=oldest.int >> 80)
        return rows.filter(pk__gt=oldest)

    def _beyond(self, request: HttpRequest) -> UUID | None:
        """The first row too many of those that the filters with an index find."""
        scope = self.root_queryset
        for spec in self.filter_specs:
            if not _is_scanned(spec):
                found = spec.queryset(request, scope)
                scope = scope if found is None else found
        keys = scope.order_by("-pk").values_list("pk", flat=True)
        key: UUID | None = keys[SCANNED_ROWS_MAX : SCANNED_ROWS_MAX + 1].first()
        return key

    @property
    def further_back(self) -> str:
        """The same list from where this one ends."""
        if self.looked_back_to is None:
            return ""
        # A millisecond later, so that what was made in the same one is seen twice rather than never.
        until = self.looked_back_to + timedelta(milliseconds=1)
        return self.get_query_string({TimeRangeFilter.UNTIL: until.isoformat(timespec="milliseconds")})


def _is_scanned(spec: Any) -> bool:
    if isinstance(spec, FieldListFilter):
        return bool(spec.used_parameters)
    return bool(getattr(spec, "is_scanned", False))


class BoundedListAdmin(BaseAdmin):
    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("delivery/story.css",)}
        js = ("delivery/story.js",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList
