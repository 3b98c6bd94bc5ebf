"""List filters in which one types, for columns with too many values for a list of links."""

import datetime
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from subscriptions.ids import first_uuid7
from subscriptions.models import Organization


class CreatedFilter(admin.SimpleListFilter):
    """By the time in the key (UUID version 7), so that the primary key answers it."""

    title = "created"
    parameter_name = "created"
    HOURS = (("1", "Past hour"), ("24", "Past 24 hours"), ("168", "Past 7 days"), ("720", "Past 30 days"))

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.HOURS

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = self.value()
        if hours not in dict(self.HOURS):
            return queryset
        since = timezone.now() - datetime.timedelta(hours=int(hours))
        return queryset.filter(id__gte=first_uuid7(int(since.timestamp() * 1000)))


class InputFilter(admin.SimpleListFilter):
    """A text field; `queryset` gets what was typed."""

    template = "admin/input_filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return []

    def has_output(self) -> bool:
        return True

    def typed(self) -> str:
        return (self.value() or "").strip()

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        others = [(name, value) for name, value in changelist.params.items() if name != self.parameter_name]
        yield {
            "name": self.parameter_name,
            "typed": self.typed(),
            "others": others,
            "remove": changelist.get_query_string(remove=[str(self.parameter_name)]),
        }


class OrganizationFilter(InputFilter):
    title = "organization (its id or exact name)"
    parameter_name = "organization"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        if not typed:
            return queryset
        named = Organization.objects.filter(Q(public_id=typed) | Q(name=typed)).values_list("pk", flat=True)
        # Looked up first, so that the big table's query has a plain id to use its index with.
        return queryset.filter(organization__in=list(named))


class SubscriptionFilter(InputFilter):
    title = "subscription (its id)"
    parameter_name = "subscription"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        if not typed:
            return queryset
        id_ = whole_number(typed)
        return queryset.none() if id_ is None else queryset.filter(subscription=id_)


def whole_number(text: str) -> int | None:
    """The number that `text` writes, if it can be the key of a row."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None


def url_beginning(term: str) -> str:
    """What the kept URLs that begin so begin with: the values of their queries are not there to be found."""
    head, mark, _ = term.partition("?")
    return head + mark
