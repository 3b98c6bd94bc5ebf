"""Filtered lists as files: CSV for people's spreadsheets, JSON lines for programs."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, cast

from django.conf import settings
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse

from delivery.admin.bodies import BodiesAdmin, may_see_bodies
from delivery.admin.bounded_list import BoundedChangeList, BoundedListAdmin
from subscriptions import audit
from subscriptions.masks import shown_url

# Per statement; bodies of up to 64 KB are in memory at the same time.
CHUNK_ROWS = 200
# What a spreadsheet takes for a formula, at the beginning of a cell or of what it may take for one.
_FORMULA = re.compile(r"""(^|[,;|"'\t\r\n])(?=\s*[=+\-@＝＋－＠])|^(?=[\t\r\n])""")
Row = dict[str, Any]


class ExportingAdmin(BoundedListAdmin, BodiesAdmin):
    """Two pages beside the list, which stream what its filters find, newest first."""

    #: name in the file -> lookup; those of `export_bodies` only for who may see bodies
    export_columns: ClassVar[dict[str, str]]
    export_bodies: ClassVar[dict[str, str]]
    export_permission: ClassVar[str]
    change_list_template = "admin/delivery/exportable_list.html"

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        own = [
            path(
                f"export/{kind}/",
                self.admin_site.admin_view(partial(self.export, kind=kind)),
                name=f"{name}_{kind}",
            )
            for kind in FORMATS
        ]
        return [*own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "may_export": request.user.has_perm(self.export_permission),
            "export_rows_max": settings.EXPORT_ROWS_MAX,
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def export_rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset

    def export(self, request: HttpRequest, *, kind: str) -> HttpResponseBase:
        if not (self.has_view_permission(request) and request.user.has_perm(self.export_permission)):
            raise PermissionDenied
        try:
            found = cast(BoundedChangeList, self.get_changelist_instance(request)).everything
        except IncorrectLookupParameters:
            return redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
        columns = self.export_columns | (self.export_bodies if may_see_bodies(request) else {})
        with transaction.atomic():
            audit.record(
                f"{self.opts.model_name}.exported",
                kind,
                organization=None,
                after={"filter": _shown_filter(request), "columns": list(columns)},
            )
        rows = in_chunks(self.export_rows(found), columns, settings.EXPORT_ROWS_MAX)
        response = StreamingHttpResponse(FORMATS[kind](list(columns), rows), content_type=CONTENT_TYPES[kind])
        name = f"{self.opts.verbose_name_plural}.{kind}"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response


def in_chunks(queryset: QuerySet[Any], columns: dict[str, str], most: int) -> Iterator[Row]:
    """At most so many rows, newest first. No cursor stays open, for whoever downloads may be slow."""
    rows = queryset.order_by("-pk").values("pk", *columns.values())
    last = None
    while most > 0:
        here = rows if last is None else rows.filter(pk__lt=last)
        size = min(CHUNK_ROWS, most)
        chunk = list(here[:size])
        yield from ({name: row[lookup] for name, lookup in columns.items()} for row in chunk)
        if len(chunk) < size:
            return
        last, most = chunk[-1]["pk"], most - size


class _Line:
    """What the CSV writer writes to: it gives each line back."""

    def write(self, line: str) -> str:
        return line


def as_csv(columns: list[str], rows: Iterator[Row]) -> Iterator[str]:
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([cell(value) for value in row.values()])


def as_jsonl(columns: list[str], rows: Iterator[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({name: plain(value) for name, value in row.items()}) + "\n"


FORMATS: dict[str, Callable[[list[str], Iterator[Row]], Iterator[str]]] = {"csv": as_csv, "jsonl": as_jsonl}
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


def plain(value: Any) -> Any:
    """As JSON can say it; bodies are bytes."""
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="backslashreplace")
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | float | dict | list) else str(value)


def cell(value: Any) -> str:
    """A text that no spreadsheet takes for a formula, whatever it takes for a separator."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = json.dumps(value) if isinstance(value, dict | list) else value
    return _FORMULA.sub(r"\1'", text)


def _shown_filter(request: HttpRequest) -> str:
    """A URL that was searched for may have been typed with its query."""
    asked = request.GET.copy()
    if "q" in asked:
        asked["q"] = shown_url(str(asked["q"]))
    return asked.urlencode()
