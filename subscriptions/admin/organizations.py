"""Tenants, their API keys, and the list of their signing secrets."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from subscriptions import edits, services
from subscriptions.admin.base import ReadOnlyAdmin, asking_action
from subscriptions.admin.filters import OrganizationFilter, SubscriptionFilter
from subscriptions.admin.service_forms import ServiceAdmin, ServiceForm
from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, Scope, SigningSecret

RETENTION_FIELDS = ("attempts_retention_days", "bodies_retention_days", "events_retention_days")


class OrganizationForm(ServiceForm):
    class Meta:
        model = Organization
        fields = ("name", "contact_email", *RETENTION_FIELDS)

    def carry_out(self) -> Organization:
        if not self.is_new:
            return edits.organization_update(self.instance, self.changed_values())
        organization, secret = services.organization_create(**self.cleaned_data)
        self.secrets = {"The organization's signing secret": secret}
        return organization


@admin.register(Organization)
class OrganizationAdmin(ServiceAdmin):
    form = OrganizationForm
    list_display = ("name", "public_id", "contact_email", "created_at")
    search_fields = ("name",)
    search_help_text = "Organization id, or the beginning of its name."
    ordering = ("-id",)
    readonly_fields = ("public_id", "created_at")
    audited_as = "public_id"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = () if obj is None else RETENTION_FIELDS
        return ("name", "contact_email", *own, "public_id", "created_at")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Organization], search_term: str
    ) -> tuple[QuerySet[Organization], bool]:
        term = search_term.strip()
        found = Q(public_id=term) | Q(name__istartswith=term)
        return (queryset.filter(found) if term else queryset), False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # It would take all logs of the tenant with it.
        return False


class NewApiKeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=DEFAULT_SCOPES
    )
    signs_webhooks = forms.BooleanField(
        required=False, help_text="Webhooks can be signed with it; it is then kept, encrypted."
    )

    class Meta:
        model = ApiKey
        fields = ("organization", "organizations", "name", "scopes", "expires_at")

    def carry_out(self) -> ApiKey:
        values = self.cleaned_data
        api_key, key = services.api_key_create(
            organization=values["organization"],
            others=values["organizations"],
            name=values["name"],
            scopes=values["scopes"],
            signs=values["signs_webhooks"],
            expires_at=values["expires_at"],
        )
        self.secrets = {"The API key": key}
        return api_key


class ApiKeyForm(ServiceForm):
    class Meta:
        model = ApiKey
        fields = ("name", "expires_at")

    def carry_out(self) -> ApiKey:
        return edits.api_key_update(self.instance, self.changed_values())


@admin.register(ApiKey)
class ApiKeyAdmin(ServiceAdmin):
    form = ApiKeyForm
    list_display = ("prefix", "name", "organization", "scopes", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("organization",)
    list_filter = (OrganizationFilter, ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("prefix__startswith", "=organization__public_id")
    search_help_text = "The beginning of the key (up to 12 characters), or an organization id."
    ordering = ("-id",)
    autocomplete_fields = ("organization", "organizations")
    actions = ("revoke",)
    page_actions = ("revoke",)
    audited_as = "prefix"

    ADD_FIELDS = ("organization", "organizations", "name", "scopes", "signs_webhooks", "expires_at")
    FIXED_FIELDS = (
        *("prefix", "organization", "organizations", "scopes", "signs"),
        *("created_at", "last_used_at", "revoked_at"),
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.ADD_FIELDS if obj is None else ("name", "expires_at", *self.FIXED_FIELDS)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else self.FIXED_FIELDS

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = ApiKeyForm if change else NewApiKeyForm
        return super().get_form(request, obj, change, form=form, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Revoking keeps the row, and with it who used what.
        return False

    def told(self, object_: ApiKey) -> str:
        return f"{object_} {object_.name}, {object_.organization}"

    @asking_action(
        "Revoke",
        permission="subscriptions.revoke_apikey",
        note="From then on every request with it is refused.",
    )
    def revoke(self, request: HttpRequest, objects: list[ApiKey]) -> None:
        self.do_each(request, objects, services.api_key_revoke, "Revoked")


@admin.register(SigningSecret)
class SigningSecretAdmin(ReadOnlyAdmin):
    """What is in force until when; the secrets themselves are shown nowhere."""

    list_display = ("id", "kind", "organization", "subscription", "workflow_id", "created_at", "expires_at")
    list_select_related = ("organization", "subscription")
    list_filter = (OrganizationFilter, SubscriptionFilter, "kind")
    ordering = ("-id",)
    fields = ("kind", "public_key", "organization", "subscription", "workflow_id", "created_at", "expires_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SigningSecret]:
        return super().get_queryset(request).defer("encrypted_secret")
