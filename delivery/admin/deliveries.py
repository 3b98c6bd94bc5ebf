"""Deliveries: found, read with their body and attempts, replayed and cancelled."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.timezone import localtime

from delivery import hold, services
from delivery.admin import shown, story, subjects
from delivery.admin.bodies import may_see_bodies
from delivery.admin.export import ExportingAdmin
from delivery.admin.filters import (
    DeliveryTypeFilter,
    LastStatusFilter,
    OfReplayFilter,
    StateFilter,
    search_deliveries,
)
from delivery.admin.standing import is_sending, standing
from delivery.callbacks import without_ciphertext
from delivery.models import Delivery
from delivery.replays import services as replays
from delivery.states import State
from subscriptions.admin.base import asking_action
from subscriptions.admin.filters import (
    CreatedFilter,
    OrganizationFilter,
    SubscriptionFilter,
    TimeRangeFilter,
)
from webhooks_project.errors import Conflict

REPLAYS_SHOWN_MAX = 20
FIND_MAX_CHARACTERS = 200
REFRESH_SECONDS = 3


@admin.register(Delivery)
class DeliveryAdmin(ExportingAdmin):
    list_display = (
        *("short_id", "shown_state", "event_type", "receiver", "attempts", "last_answer"),
        *("next_attempt", "created"),
    )
    # Actions tell of their organizations.
    list_select_related = ("event", "organization")
    list_filter = (
        *(StateFilter, LastStatusFilter, CreatedFilter, TimeRangeFilter, SubscriptionFilter),
        *(OrganizationFilter, DeliveryTypeFilter, OfReplayFilter, "lane", "is_test"),
    )
    search_fields = ("id",)
    search_help_text = (
        "Exact id of a delivery, event, run or subscription, a webhook-id, the last answer’s code (503), "
        "or the beginning of the URL."
    )
    ordering = ("-id",)
    actions = ("replay", "cancel", "recover")
    page_actions = ("replay", "cancel", "recover")
    export_permission = "delivery.export_delivery"
    export_columns = {
        **{name: name for name in "id state reason".split()},
        "event_id": "event__event_id",
        "event_type": "event__type",
        "organization": "organization__public_id",
        "subscription_id": "subscription_id",
        **{name: name for name in "url webhook_id attempts last_status_code".split()},
        **{name: name for name in "created_at next_attempt_at finished_at is_test".split()},
        "replay_of": "replay_of_id",
        "payload_format": "body__payload_format",
    }
    export_bodies = {"body": "beginning"}
    change_form_template = "admin/delivery/delivery/change_form.html"
    change_list_template = "admin/delivery/delivery/change_list.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("event_and_subject", "organization", "subscription", "url", "created_at"),
                    *("finished_at", "is_test", "replay_of", "replay", "replayed_as"),
                )
            },
        ),
        (
            "Machinery",
            {
                "classes": ("collapse",),
                "fields": (
                    *("id", "webhook_id", "state", "reason", "attempts", "last_status_code"),
                    *("next_attempt_at", "held_at", "lane", "callback_settings", "once"),
                    *("claim_number", "claims_lost", "lease_until", "nudged_at", "nudges"),
                ),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for _, options in self.fieldsets for name in options["fields"]]

    def export_rows(self, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        beginning = Substr("body__body", 1, shown.SHOWN_MAX_CHARACTERS, output_field=BinaryField())
        return queryset.annotate(beginning=beginning)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        return (search_deliveries(queryset, term) if term else queryset), False

    def page_context(self, request: HttpRequest, delivery: Delivery) -> dict[str, Any]:
        now, log = timezone.now(), story.attempts_of(delivery)
        last = story.last_that_counts(log)
        may_see, kept = may_see_bodies(request), delivery.kept_body()
        is_open = delivery.finished_at is None and delivery.state != State.HELD
        context: dict[str, Any] = {
            "may_see_bodies": may_see,
            "standing": standing(delivery, last, now=now),
            "badge": shown.state_badge(delivery.state),
            "body_kept": kept is not None,
            "payload_format": kept.payload_format if kept is not None else None,
            "moments": story.moments(delivery, log, now=now),
            # Whoever looks at it meanwhile sees what comes of it.
            "refresh_seconds": REFRESH_SECONDS if is_open else None,
        }
        if may_see and kept is not None:
            find = request.GET.get("find", "").strip()[:FIND_MAX_CHARACTERS]
            context |= story.body_context(delivery, bytes(kept.body), last, find)
        return context

    def get_urls(self) -> list[Any]:
        body = path(
            "<uuid:pk>/body/", self.admin_site.admin_view(self.exact_body), name="delivery_delivery_body"
        )
        return [body, *super().get_urls()]

    def exact_body(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The frozen bytes as a file."""
        if not (self.has_view_permission(request) and may_see_bodies(request)):
            raise PermissionDenied
        delivery = Delivery.objects.filter(pk=pk).first()
        kept = delivery.kept_body() if delivery is not None else None
        if delivery is None or kept is None:
            raise Http404
        response = HttpResponse(bytes(kept.body), content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="{story.file_name(delivery)}"'
        return response

    def actions_of_page(self, obj: Delivery) -> tuple[str, ...]:
        if obj.finished_at is not None:
            return ("replay",) if obj.kept_body() is not None else ()
        return ("recover", "cancel") if obj.state == State.HELD else ("cancel",)

    @admin.display(description="event")
    def event_and_subject(self, delivery: Delivery) -> str:
        """What happened, when, and to what."""
        event = delivery.event
        url = reverse("admin:delivery_event_change", args=[event.pk])
        moment = date_format(localtime(event.occurred_at), "DATETIME_FORMAT")
        text = format_html('<a href="{}">{}</a> at {}', url, event.type, moment)
        if not event.subject:
            return text
        page = subjects.page_of(event)
        about = format_html('<a href="{}">{}</a>', page, event.subject) if page else event.subject
        return format_html("{}, about {}", text, about)

    @admin.display(description="id")
    def short_id(self, delivery: Delivery) -> str:
        return shown.short_id(delivery.pk)

    @admin.display(description="state")
    def shown_state(self, delivery: Delivery) -> str:
        if is_sending(delivery, timezone.now()):
            return shown.badge(f"{delivery.state}, sending", "busy")
        badge = shown.state_badge(delivery.state)
        if not delivery.reason:
            return badge
        return format_html('{}<span class="reason">{}</span>', badge, delivery.reason.replace("_", " "))

    @admin.display(description="receiver")
    def receiver(self, delivery: Delivery) -> str:
        return shown.host(delivery.url)

    @admin.display(description="last answer", empty_value="-")
    def last_answer(self, delivery: Delivery) -> int | None:
        return delivery.last_status_code

    @admin.display(description="next attempt")
    def next_attempt(self, delivery: Delivery) -> str:
        return shown.narrow_moment(delivery.next_attempt_at)

    @admin.display(description="created")
    def created(self, delivery: Delivery) -> str:
        return shown.narrow_moment(delivery.created_at)

    @admin.display(description="event type")
    def event_type(self, delivery: Delivery) -> str:
        return delivery.event.type

    @admin.display(description="callback")
    def callback_settings(self, delivery: Delivery) -> str:
        """Its parts; of what is encrypted only whether there is any."""
        if delivery.callback is None:
            return "-"
        return shown.preformatted(shown.pretty(without_ciphertext(delivery.callback)))

    @admin.display(description="replayed as")
    def replayed_as(self, delivery: Delivery) -> str:
        # By the event, which has an index: a replay is of the same event.
        replays = Delivery.objects.filter(event=delivery.event_id, replay_of=delivery.id).order_by("id")
        ids = replays.values_list("id", flat=True)[:REPLAYS_SHOWN_MAX]
        links = ((reverse("admin:delivery_delivery_change", args=[id_]), id_) for id_ in ids)
        return format_html_join(", ", '<a href="{}">{}</a>', links) or "-"

    def told(self, object_: Delivery) -> str:
        return f"{object_.id}: {object_.state}, to {object_.url}"

    @asking_action(
        "Replay",
        permission="delivery.replay_delivery",
        note="The same bytes go out again, also where they have arrived before.",
    )
    def replay(self, request: HttpRequest, objects: list[Delivery]) -> None:
        refusals = replays.replay_chosen(objects)
        self.report(
            request,
            "Replayed",
            [delivery for delivery in objects if refusals.get(delivery.id, "it is gone") is None],
            [refusal for refusal in refusals.values() if refusal],
        )

    @asking_action("Cancel", permission="delivery.cancel_delivery", note="Nothing more is sent for them.")
    def cancel(self, request: HttpRequest, objects: list[Delivery]) -> None:
        def work(delivery: Delivery) -> None:
            if delivery.finished_at is not None:
                raise Conflict(f"the delivery is {delivery.state} already")
            services.cancel(organization=delivery.organization, delivery_id=delivery.id)

        self.do_each(request, objects, work, "Cancelled")

    @asking_action("Send what is held", permission="delivery.recover_delivery")
    def recover(self, request: HttpRequest, objects: list[Delivery]) -> None:
        def work(delivery: Delivery) -> None:
            hold.recover_one(organization=delivery.organization, delivery_id=delivery.id)

        self.do_each(request, objects, work, "Sent on their way")
