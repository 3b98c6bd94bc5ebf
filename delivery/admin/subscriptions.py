"""What only this app can add to the subscriptions' pages: their deliveries and the test event."""

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from delivery import hold, services
from subscriptions.admin import subscriptions as base
from subscriptions.admin.base import ACTION_MESSAGES_MAX, asking_action
from subscriptions.models import Subscription

admin.site.unregister(Subscription)


@admin.register(Subscription)
class SubscriptionAdmin(base.SubscriptionAdmin):
    actions = (*base.SubscriptionAdmin.actions, "send_test", "recover_held")
    page_actions = (*base.SubscriptionAdmin.page_actions, "send_test", "recover_held")
    FIXED_FIELDS = (*base.SubscriptionAdmin.FIXED_FIELDS, "deliveries")

    @admin.display(description="deliveries")
    def deliveries(self, subscription: Subscription) -> str:
        url = reverse("admin:delivery_delivery_changelist")
        return format_html('<a href="{}?subscription={}">Show them</a>', url, subscription.pk)

    @asking_action("Send test event", permission="subscriptions.test_subscription", most=ACTION_MESSAGES_MAX)
    def send_test(self, request: HttpRequest, objects: list[Subscription]) -> None:
        def work(subscription: Subscription) -> None:
            # A worker sends it; its page tells how it went.
            delivery = services.send_test(
                organization=subscription.organization, subscription_id=subscription.pk
            )
            url = reverse("admin:delivery_delivery_change", args=[delivery.pk])
            text = format_html('Test event for {}: <a href="{}">its delivery</a>', subscription, url)
            self.message_user(request, text, messages.INFO)

        self.do_each(request, objects, work, "Test event queued")

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
