"""What the service has written down: events, bodies, attempts, and its sign of life."""

from typing import Any

from django.contrib import admin
from django.db.models import F, Func, IntegerField, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from delivery.admin import shown, story, subjects
from delivery.admin.bodies import BodiesAdmin
from delivery.admin.export import ExportingAdmin
from delivery.admin.filters import (
    AttemptTypeFilter,
    ErrorFilter,
    EventTypeFilter,
    StatusFilter,
    events_of,
    search_deliveries,
    status_code_or_none,
    uuid_or_none,
)
from delivery.fan_out import chunks as fan_out
from delivery.models import Attempt, Canary, Delivery, Event, EventBody, SlowReceiver, Worker
from subscriptions.admin.base import ReadOnlyAdmin
from subscriptions.admin.filters import (
    CreatedFilter,
    OrganizationFilter,
    SubscriptionFilter,
    TimeRangeFilter,
    url_beginning,
    whole_number,
)

DELIVERIES_FOUND_MAX = 1_000


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "type",
        "event_id",
        "organization",
        "subject",
        "recipients",
        "is_test",
        "occurred_at",
    )
    list_select_related = ("organization",)
    list_filter = (CreatedFilter, "is_test", EventTypeFilter, OrganizationFilter)
    search_fields = ("id",)
    search_help_text = "Exact id of an event or run."
    ordering = ("-id",)
    fields = (
        *("id", "type", "event_id", "organization", "source", "about", "is_test", "recipients"),
        *("deliveries", "not_told_yet", "occurred_at", "created_at"),
    )

    @admin.display(description="subject")
    def about(self, event: Event) -> str:
        page = subjects.page_of(event)
        return format_html('<a href="{}">{}</a>', page, event.subject) if page else event.subject

    @admin.display(description="deliveries")
    def deliveries(self, event: Event) -> str:
        url = reverse("admin:delivery_delivery_changelist", query={"q": event.pk})
        return format_html('<a href="{}">Show them</a>', url)

    @admin.display(description="recipients without a delivery yet")
    def not_told_yet(self, event: Event) -> int:
        return fan_out.left(event.pk)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Event], search_term: str
    ) -> tuple[QuerySet[Event], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(Q(id__in=events_of(term)) | Q(id=uuid_or_none(term))), False


@admin.register(EventBody)
class EventBodyAdmin(BodiesAdmin):
    list_display = ("id", "payload_format", "event", "size")
    list_select_related = ("event",)
    list_filter = (CreatedFilter, "payload_format")
    search_fields = ("id",)
    search_help_text = "Exact id of a body, event or run."
    ordering = ("-id",)
    fields = ("id", "event", "payload_format", "size", "text")
    bodies = frozenset({"text"})

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventBody]:
        size = Func(F("body"), function="octet_length", output_field=IntegerField())
        rows: QuerySet[EventBody] = super().get_queryset(request).defer("body").annotate(size=size)
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[EventBody], search_term: str
    ) -> tuple[QuerySet[EventBody], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        key = uuid_or_none(term)
        return queryset.filter(Q(event_id__in=events_of(term)) | Q(id=key) | Q(event_id=key)), False

    @admin.display(description="bytes")
    def size(self, body: Any) -> int:
        return int(body.size)

    @admin.display(description="body")
    def text(self, body: EventBody) -> str:
        return shown.preformatted(shown.body(bytes(body.body)).text)


@admin.register(Attempt)
class AttemptAdmin(ExportingAdmin):
    list_display = ("short_id", "outcome", "number", "event_type", "receiver", "milliseconds", "created")
    list_filter = (
        *("success", StatusFilter, ErrorFilter, CreatedFilter, TimeRangeFilter, SubscriptionFilter),
        *(OrganizationFilter, AttemptTypeFilter, "is_test"),
    )
    search_fields = ("id",)
    search_help_text = (
        "Exact id of an attempt, delivery, event, run or subscription, the answer’s code (503), "
        "or the beginning of the URL."
    )
    ordering = ("-id",)
    fields = (
        *(
            "id",
            "delivery",
            "number",
            "success",
            "status_code",
            "error_class",
            "error_message",
            "staff_detail",
        ),
        *("organization", "subscription", "event_id", "event_type", "url", "is_test", "late", "duration_ms"),
        "shown_phases",
        *("created_at", "next_retry_at", "sent_headers", "answered_headers", "answered_body"),
    )
    bodies = frozenset({"answered_headers", "answered_body"})
    export_permission = "delivery.export_attempt"
    export_columns = {
        **{name: name for name in "id delivery_id number success status_code".split()},
        **{name: name for name in "error_class error_message staff_detail event_id event_type".split()},
        "organization": "organization__public_id",
        "subscription_id": "subscription_id",
        **{name: name for name in "url duration_ms phases created_at next_retry_at is_test late".split()},
    }
    export_bodies = {name: name for name in ("response_headers", "response_body")}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        return super().get_queryset(request).defer("request_headers", "response_headers", "response_body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Attempt], search_term: str
    ) -> tuple[QuerySet[Attempt], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith(("http://", "https://")):
            return queryset.filter(url__startswith=url_beginning(term)), False
        if (code := status_code_or_none(term)) is not None:
            return queryset.filter(status_code=code), False
        if (number := whole_number(term)) is not None:
            return queryset.filter(subscription_id=number), False
        # The log itself has no index by event: its deliveries have.
        found = search_deliveries(Delivery.objects.all(), term).order_by("-id")
        ids = list(found.values_list("id", flat=True)[:DELIVERIES_FOUND_MAX])
        return queryset.filter(Q(delivery_id__in=ids) | Q(id=uuid_or_none(term))), False

    @admin.display(description="id")
    def short_id(self, attempt: Attempt) -> str:
        return shown.short_id(attempt.pk)

    @admin.display(description="outcome")
    def outcome(self, attempt: Attempt) -> str:
        return shown.badge(*story.outcome_of(attempt))

    @admin.display(description="receiver")
    def receiver(self, attempt: Attempt) -> str:
        return shown.host(attempt.url)

    @admin.display(description="ms")
    def milliseconds(self, attempt: Attempt) -> str:
        return "-" if attempt.duration_ms is None else f"{attempt.duration_ms:.1f}"

    @admin.display(description="created")
    def created(self, attempt: Attempt) -> str:
        return shown.narrow_moment(attempt.created_at)

    @admin.display(description="phases")
    def shown_phases(self, attempt: Attempt) -> str:
        measured = attempt.measured
        if measured is None:
            return "-"
        return " · ".join(
            f"{story.PHASE_NAMES[name]} {spent / 1000:.1f} ms" for name, spent in measured.measured()
        )

    @admin.display(description="request headers")
    def sent_headers(self, attempt: Attempt) -> str:
        return _headers(attempt.request_headers)

    @admin.display(description="response headers")
    def answered_headers(self, attempt: Attempt) -> str:
        return _headers(attempt.response_headers)

    @admin.display(description="response body")
    def answered_body(self, attempt: Attempt) -> str:
        return "-" if attempt.response_body is None else shown.preformatted(attempt.response_body)


@admin.register(Canary)
class CanaryAdmin(ReadOnlyAdmin):
    list_display = ("__str__",)
    fields = ("seen_at",)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "host", "process_id", "queues", "concurrency", "started_at", "seen_at")
    search_fields = ("name",)
    ordering = ("name",)
    fields = (*list_display, "clock_ahead_seconds", "idle_seconds", "under_way", "given_back", "done")


@admin.register(SlowReceiver)
class SlowReceiverAdmin(ReadOnlyAdmin):
    list_display = ("receiver", "organization", "since", "timeouts", "last_timeout_at")
    list_select_related = ("organization",)
    list_filter = (OrganizationFilter,)
    search_fields = ("receiver",)
    ordering = ("since", "id")
    fields = list_display


def _headers(headers: Any) -> str:
    return shown.preformatted("\n".join(f"{name}: {value}" for name, value in shown.pairs(headers)))
