"""List filters and searches that a table of 100 million rows can answer."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from delivery.models import Delivery, Event
from delivery.states import ENDED, ErrorClass, State
from subscriptions.admin.filters import InputFilter, OrganizationFilter, url_beginning, whole_number
from subscriptions.ids import first_uuid7

# Of one run or event id; a run has two events per step.
EVENTS_FOUND_MAX = 1_000


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    @property
    def is_scanned(self) -> bool:
        # Of a replay it has an index.
        return self.value() in ENDED and not self.request.GET.get(OfReplayFilter.parameter_name)

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(state.value, state.value) for state in State]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.value()
        if state not in set(State):
            return queryset
        # What has not ended is a small part of the table, with an index of its own.
        return queryset.filter(state=state, **({} if state in ENDED else {"finished_at": None}))


class ErrorFilter(admin.SimpleListFilter):
    title = "error"
    parameter_name = "error_class"

    @property
    def is_scanned(self) -> bool:
        return bool(self.value())

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(name.value, name.value) for name in ErrorClass]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset if value not in set(ErrorClass) else queryset.filter(error_class=value)


class StatusFilter(admin.SimpleListFilter):
    """By the class of an attempt's answer."""

    title = "answer"
    parameter_name = "answer"
    column = "status_code"
    NONE = "none"

    @property
    def is_scanned(self) -> bool:
        return bool(self.value())

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [*((str(n), f"{n}xx") for n in range(1, 6)), (self.NONE, "no answer")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == self.NONE:
            return queryset.filter(**{self.column: None})
        if value not in {"1", "2", "3", "4", "5"}:
            return queryset
        first = int(value) * 100
        return queryset.filter(**{f"{self.column}__gte": first, f"{self.column}__lt": first + 100})


class LastStatusFilter(StatusFilter):
    """By the class of a delivery's last answer."""

    title = "last answer"
    column = "last_status_code"


class EventTypeFilter(InputFilter):
    title = "event type (exact)"
    parameter_name = "type"
    column = "type"

    @property
    def is_scanned(self) -> bool:
        return bool(self.typed())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        return queryset.filter(**{self.column: typed}) if typed else queryset


class DeliveryTypeFilter(EventTypeFilter):
    column = "event__type"


class AttemptTypeFilter(EventTypeFilter):
    column = "event_type"

    @property
    def is_scanned(self) -> bool:
        # With an organization it has an index.
        return bool(self.typed()) and not self.request.GET.get(OrganizationFilter.parameter_name)


class OfReplayFilter(InputFilter):
    title = "replay (its id)"
    parameter_name = "replay"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        if not typed:
            return queryset
        key = uuid_or_none(typed)
        return queryset.none() if key is None else queryset.filter(replay=key)


def uuid_or_none(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def events_of(term: str) -> list[UUID]:
    """The keys of the events with this event id (the `webhook-id`) or about this run, newest first."""
    # Two queries, so that each has its own index.
    by_id = Event.objects.filter(event_id=term).values_list("id", flat=True)
    by_subject = Event.objects.filter(subject=term).exclude(subject="").order_by("-id")
    return [*by_id[:EVENTS_FOUND_MAX], *by_subject.values_list("id", flat=True)[:EVENTS_FOUND_MAX]]


def replays_under(webhook_id: str) -> Q:
    """The replay that asked for a new `webhook-id`: the id tells when, so the primary key finds it."""
    made = uuid_or_none(webhook_id.removeprefix("evt_"))
    if made is None or made.version != 7:
        return Q(pk__in=[])
    milliseconds = made.int >> 80
    first, last = (first_uuid7(milliseconds + offset) for offset in (-1000, 1000))
    return Q(webhook_id=webhook_id, id__gte=first, id__lte=last)


def status_code_or_none(term: str) -> int | None:
    """The answer code that somebody typed."""
    return int(term) if len(term) == 3 and term.isascii() and term.isdigit() and term[0] in "12345" else None


def is_scanned_for(term: str) -> bool:
    """Has what is searched for no index?"""
    return term.startswith(("http://", "https://")) or status_code_or_none(term) is not None


def search_deliveries(queryset: QuerySet[Delivery], term: str) -> QuerySet[Delivery]:
    """By any id (delivery, event, `webhook-id`, run, subscription), last answer, or the URL's beginning."""
    if (code := status_code_or_none(term)) is not None:
        return queryset.filter(last_status_code=code)
    if term.startswith(("http://", "https://")):
        return queryset.filter(url__startswith=url_beginning(term))
    found = Q(event_id__in=events_of(term)) | replays_under(term)
    # Event and run ids of the caller's may be UUIDs, too.
    if (key := uuid_or_none(term)) is not None:
        found |= Q(id=key) | Q(event_id=key)
    if (number := whole_number(term)) is not None:
        found |= Q(subscription_id=number)
    return queryset.filter(found)
