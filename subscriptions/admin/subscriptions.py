"""Subscriptions: added, changed and deleted through the services, secrets shown once."""

from contextlib import suppress
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.actions import delete_selected
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe

from subscriptions import services
from subscriptions.admin.base import ACTION_MESSAGES_MAX, asking_action
from subscriptions.admin.filters import OrganizationFilter, url_beginning, whole_number
from subscriptions.admin.service_forms import ServiceAdmin
from subscriptions.admin.subscription_form import SubscriptionForm
from subscriptions.models import SigningSecret, Subscription
from webhooks_project.errors import NotFound

SWITCH = "subscriptions.switch_subscription"


@admin.register(Subscription)
class SubscriptionAdmin(ServiceAdmin):
    form = SubscriptionForm
    list_display = (
        "name",
        "id",
        "organization",
        "url",
        "events",
        "payload_format",
        "is_active",
        "disabled_reason",
        "created_at",
    )
    list_select_related = ("organization",)
    list_filter = (
        "is_active",
        "disabled_reason",
        "payload_format",
        OrganizationFilter,
        ("failing_since", admin.EmptyFieldListFilter),
        ("disabled_at", admin.EmptyFieldListFilter),
        ("deleted_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("id", "url", "name", "organization__public_id")
    search_help_text = "Subscription id, organization id, or the beginning of the URL or of the name."
    # Ids are random: only the time sorts the newest first.
    ordering = ("-created_at", "-id")
    autocomplete_fields = ("organization",)
    actions: tuple[str, ...] = ("enable", "disable", "rotate_secret", "delete_selected")
    page_actions: ClassVar[tuple[str, ...]] = ("enable", "disable", "rotate_secret")

    EDITED_FIELDS = (
        *("name", "url", "is_active", "events", "custom_events", "workflow_ids", "payload_format"),
        *("signature_schemes", "retry_policy", "retry_schedule", "timeout_seconds", "rate_limit_per_second"),
        *("secret", "headers"),
    )
    SHOWN_FIELDS = (
        *("name", "url", "is_active", "events", "workflow_ids", "payload_format"),
        *("signature_schemes", "retry_policy", "retry_schedule", "timeout_seconds", "rate_limit_per_second"),
    )
    FIXED_FIELDS: tuple[str, ...] = (
        *("id", "organization", "header_names", "signing_keys", "disabled_at", "disabled_reason"),
        *("failing_since", "failing_told_at", "version", "created_at", "updated_at", "deleted_at"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return ("organization", *self.EDITED_FIELDS)
        if not self.has_change_permission(request, obj):
            return (*self.SHOWN_FIELDS, *self.FIXED_FIELDS)
        return (*self.EDITED_FIELDS, "remove_secret", *self.FIXED_FIELDS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.FIXED_FIELDS

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        return super().get_queryset(request).defer("encrypted_headers", "encrypted_url")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Subscription], search_term: str
    ) -> tuple[QuerySet[Subscription], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if (id_ := whole_number(term)) is not None:
            return queryset.filter(Q(id=id_) | Q(name=term)), False
        if term.startswith(("http://", "https://")):
            return queryset.filter(url__startswith=url_beginning(term)), False
        return queryset.filter(Q(name__istartswith=term) | Q(organization__public_id=term)), False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.deleted_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.deleted_at)

    def told(self, object_: Subscription) -> str:
        return f"{object_.name} ({object_.pk}) to {object_.url}, {object_.organization}"

    @admin.display(description="signing secrets")
    def signing_keys(self, subscription: Subscription) -> str:
        """What signs, and until when; of key pairs the public half."""
        rows = subscription.signing_secrets.order_by("-pk").defer("encrypted_secret")
        return format_html_join(mark_safe("<br>"), "{}", ((_in_force(row),) for row in rows)) or "-"

    # --- Actions ---

    @asking_action("Enable", permission=SWITCH)
    def enable(self, request: HttpRequest, objects: list[Subscription]) -> None:
        self._set_active(request, objects, True, "Enabled")

    @asking_action("Disable", permission=SWITCH, note="What still waits for them is cancelled.")
    def disable(self, request: HttpRequest, objects: list[Subscription]) -> None:
        self._set_active(request, objects, False, "Disabled")

    def _set_active(
        self, request: HttpRequest, objects: list[Subscription], is_active: bool, done: str
    ) -> None:
        def work(subscription: Subscription) -> None:
            services.subscription_update(
                organization=subscription.organization,
                subscription_id=subscription.pk,
                values={"is_active": is_active},
            )

        self.do_each(request, objects, work, done)

    @asking_action(
        "Rotate signing secret",
        permission="subscriptions.rotate_subscription",
        note="The new secret is shown once; those before it sign beside it for a day.",
        most=ACTION_MESSAGES_MAX,
    )
    def rotate_secret(self, request: HttpRequest, objects: list[Subscription]) -> HttpResponse | None:
        secrets: dict[str, str] = {}

        def work(subscription: Subscription) -> None:
            if subscription.deleted_at:
                raise NotFound(f"{subscription} is deleted")
            rotation = services.signing_secret_rotate(
                organization=subscription.organization, subscription=subscription
            )
            secrets[f"Signing secret of {subscription.pk}"] = rotation.signing_secret

        self.do_each(request, objects, work, "Rotated the signing secret")
        return self.show_once(request, secrets, request.get_full_path()) if secrets else None

    # --- Deletion ---

    @admin.action(description="Delete", permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> HttpResponse | None:
        present = queryset.filter(deleted_at=None)
        if not self.bounded(request, present):
            return None
        answer: HttpResponse | None = delete_selected(self, request, present)
        return answer

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Only the names: the rows stay, and with them everything that points at them."""
        names = [str(subscription) for subscription in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        # Somebody else may have been faster.
        with suppress(NotFound):
            services.subscription_delete(organization=obj.organization, subscription_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> None:
        for subscription in queryset.select_related("organization"):
            self.delete_model(request, subscription)


def _in_force(secret: SigningSecret) -> str:
    end = f"signs until {secret.expires_at:%Y-%m-%d %H:%M:%S} UTC" if secret.expires_at else "signs"
    return f"{secret.kind} {secret.public_key}: {end}" if secret.public_key else f"{secret.kind}: {end}"
