"""Deliveries: found, read with their body and attempts, replayed and cancelled."""

from typing import Any

from django.contrib import admin
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join

from delivery import hold, services
from delivery.admin import shown
from delivery.admin.bodies import may_see_bodies
from delivery.admin.export import ExportingAdmin
from delivery.admin.filters import StateFilter, search_deliveries
from delivery.callbacks import without_ciphertext
from delivery.models import Delivery
from delivery.replays import services as replays
from subscriptions.admin.base import asking_action
from subscriptions.admin.filters import CreatedFilter, OrganizationFilter, SubscriptionFilter
from webhooks_project.errors import Conflict

ATTEMPTS_SHOWN_MAX = 100
REPLAYS_SHOWN_MAX = 20


@admin.register(Delivery)
class DeliveryAdmin(ExportingAdmin):
    list_display = (
        *("id", "state_and_reason", "event_type", "organization", "url", "attempts", "last_status_code"),
        *("next_attempt_at", "created_at"),
    )
    list_select_related = ("event", "organization")
    list_filter = (StateFilter, CreatedFilter, "lane", "is_test", OrganizationFilter, SubscriptionFilter)
    search_fields = ("id",)
    search_help_text = (
        "Exact id of a delivery, event, run or subscription, a webhook-id, or the beginning of the URL."
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
                    *("id", "state_and_reason", "event", "organization", "subscription", "url", "webhook_id"),
                    *(
                        "attempts",
                        "last_status_code",
                        "next_attempt_at",
                        "created_at",
                        "held_at",
                        "finished_at",
                    ),
                    *("is_test", "replay_of", "replayed_as"),
                )
            },
        ),
        (
            "Machinery",
            {
                "classes": ("collapse",),
                "fields": (
                    *(
                        "lane",
                        "callback_settings",
                        "once",
                        "claim_number",
                        "claims_lost",
                        "lease_until",
                        "nudged_at",
                        "nudges",
                    ),
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

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            log = list(obj.attempt_log.order_by("-id")[:ATTEMPTS_SHOWN_MAX])
            context["may_see_bodies"] = may_see = may_see_bodies(request)
            context["body"] = shown.body(bytes(obj.body.body)) if may_see else None
            context["payload_format"] = obj.body.payload_format
            context["attempts"] = [
                {
                    "facts": attempt,
                    "request_headers": shown.pairs(attempt.request_headers),
                    "response_headers": shown.pairs(attempt.response_headers),
                }
                for attempt in reversed(log)
            ]
        return super().render_change_form(request, context, add, change, form_url, obj)

    @admin.display(description="state")
    def state_and_reason(self, delivery: Delivery) -> str:
        sending = (
            delivery.finished_at is None and delivery.lease_until and delivery.lease_until > timezone.now()
        )
        state = f"{delivery.state}, sending now" if sending else delivery.state
        return f"{state} ({delivery.reason})" if delivery.reason else state

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
