"""What only this app can add to the subscriptions' pages: their deliveries and the test event."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime

from delivery import hold, pace, services, slow
from delivery.admin.standing import why_failed
from delivery.admin.subscription_health import SEEN_WITH, health_of
from delivery.doctor.rows import COUNTED_MAX, counted
from delivery.models import Delivery, SlowReceiver
from subscriptions.admin import subscriptions as base
from subscriptions.admin.base import ACTION_MESSAGES_MAX, asking_action
from subscriptions.models import Subscription
from webhooks_project.errors import TooManyWaiting

ADDED_FIELDS = ("waiting_for_rate_limit", "deliveries", "receiver", "limits")

admin.site.unregister(Subscription)


@admin.register(Subscription)
class SubscriptionAdmin(base.SubscriptionAdmin):
    actions = (*base.SubscriptionAdmin.actions, "send_test", "recover_held")
    page_actions = (*base.SubscriptionAdmin.page_actions, "send_test", "recover_held")
    change_form_template = "admin/delivery/subscription/change_form.html"
    FIXED_FIELDS = (*base.SubscriptionAdmin.FIXED_FIELDS, *ADDED_FIELDS)

    def page_context(self, request: HttpRequest, subscription: Subscription) -> dict[str, Any]:
        return {"health": health_of(subscription)} if request.user.has_perm(SEEN_WITH) else {}

    @admin.display(description="receiver")
    def receiver(self, subscription: Subscription) -> str:
        """Who has to know why deliveries wait looks here."""
        key = slow.key_of(subscription.organization_id, subscription.url)
        found = SlowReceiver.objects.filter(organization_id=key[0], receiver=key[1]).first()
        if found is None:
            return f"{key[1]}: not in the slow lane"
        since, last = (
            date_format(localtime(at), "DATETIME_FORMAT") for at in (found.since, found.last_timeout_at)
        )
        return (
            f"{found.receiver}: in the slow lane since {since}, after {found.timeouts} time-outs in a row, "
            f"the last one at {last}"
        )

    @admin.display(description="limits")
    def limits(self, subscription: Subscription) -> str:
        return (
            "Requests at once, over all workers: "
            f"{settings.DELIVERY_REQUESTS_PER_RECEIVER_MAX} to its receiver "
            f"({settings.DELIVERY_REQUESTS_PER_SLOW_RECEIVER_MAX} while that is in the slow lane), "
            f"{settings.DELIVERY_REQUESTS_PER_ORGANIZATION_MAX} of its organization"
        )

    @admin.display(description="deliveries")
    def deliveries(self, subscription: Subscription) -> str:
        url = reverse("admin:delivery_delivery_changelist")
        return format_html('<a href="{}?subscription={}">Show them</a>', url, subscription.pk)

    @admin.display(description="waiting for the rate limit")
    def waiting_for_rate_limit(self, subscription: Subscription) -> str:
        waiting = pace.waiting_count(most=COUNTED_MAX, subscription_id=subscription.pk)
        return counted(waiting, "delivery", "deliveries") if waiting else "-"

    @asking_action("Send test event", permission="subscriptions.test_subscription", most=ACTION_MESSAGES_MAX)
    def send_test(self, request: HttpRequest, objects: list[Subscription]) -> HttpResponse | None:
        sent: list[tuple[Subscription, Delivery]] = []

        def work(subscription: Subscription) -> None:
            # A worker sends it; its page tells how it went.
            delivery = services.send_test(
                organization=subscription.organization, subscription_id=subscription.pk
            )
            sent.append((subscription, delivery))

        self.do_each(request, objects, work, "Test event queued")
        if sent and "from_page" in request.POST:
            return self._answered(request, *sent[0])
        for subscription, delivery in sent:
            text = format_html(
                'Test event for {}: <a href="{}">its delivery</a>', subscription, _page_of(delivery)
            )
            self.message_user(request, text, messages.INFO)
        return None

    def _answered(self, request: HttpRequest, subscription: Subscription, delivery: Delivery) -> HttpResponse:
        """The delivery's page, with the answer if it comes in time; until then that page looks again."""
        attempt = None
        # Where too many wait already nobody waits: the page tells it as soon.
        with suppress(TooManyWaiting), services.one_waiting_place(subscription.organization):
            seconds = services.test_wait_seconds(subscription)
            attempt = services.wait_for_attempt(delivery, seconds=seconds)
        if attempt is None:
            self.message_user(request, "No answer yet: this page shows it when it comes.", messages.INFO)
        elif attempt.success:
            text = f"The receiver accepted the test event: it answered {attempt.status_code}."
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = f"The test event was not accepted: {why_failed(attempt)}."
            self.message_user(request, text, messages.WARNING)
        return redirect(_page_of(delivery))

    @asking_action(
        "Send everything that is held",
        permission="subscriptions.recover_subscription",
        most=ACTION_MESSAGES_MAX,
    )
    def recover_held(self, request: HttpRequest, objects: list[Subscription]) -> None:
        def work(subscription: Subscription) -> None:
            count = hold.recover(
                organization=subscription.organization,
                subscription_id=subscription.pk,
                since=subscription.created_at,
            )
            self.message_user(request, f"{subscription}: {count} held deliveries go out", messages.INFO)

        self.do_each(request, objects, work, "Recovered")


def _page_of(delivery: Delivery) -> str:
    return reverse("admin:delivery_delivery_change", args=[delivery.pk])
