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

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


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


class TimeRangeFilter(admin.ListFilter):
    """From a typed time until another one, by the time in the key as above."""

    title = "time (UTC)"
    template = "admin/time_range_filter.html"
    SINCE, UNTIL = parameter_names = ("since", "until")

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameter_names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1].strip()

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [*self.parameter_names]

    def typed(self, name: str) -> str:
        return str(self.used_parameters.get(name, ""))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name, lookup in ((self.SINCE, "id__gte"), (self.UNTIL, "id__lt")):
            if typed := self.typed(name):
                moment = moment_or_none(typed)
                if moment is None:
                    return queryset.none()
                milliseconds = (moment - EPOCH) // datetime.timedelta(milliseconds=1)
                queryset = queryset.filter(**{lookup: first_uuid7(milliseconds)})
        return queryset

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        others = [
            (name, value) for name, value in changelist.params.items() if name not in self.parameter_names
        ]
        typed = {name: self.typed(name) for name in self.parameter_names}
        yield {
            "typed": typed,
            "wrong": [text for text in typed.values() if text and moment_or_none(text) is None],
            "others": others,
            "remove": changelist.get_query_string(remove=[*self.parameter_names]),
        }


def moment_or_none(text: str) -> datetime.datetime | None:
    """A time as ISO 8601 writes it, in UTC unless it says otherwise; a day is its beginning."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


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
