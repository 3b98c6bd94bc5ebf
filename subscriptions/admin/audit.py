"""The audit: who changed what; found by object, actor, action, organization and time."""

import re
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from subscriptions import audit
from subscriptions.admin.base import ReadOnlyAdmin
from subscriptions.admin.filters import CreatedFilter, InputFilter, OrganizationFilter
from subscriptions.audit_entry import AuditEntry

ABOUT_ACCOUNTS = ("user.created", "user.updated", "user.deleted")
_ACCOUNT_KEY = re.compile(r" \(#\d+\)$")


def spelled(typed: str) -> list[str]:
    """What was typed and, if accounts have that name, how entries call them."""
    return [typed, *(audit.account(user) for user in User.objects.filter(username=typed))]


class ActorFilter(InputFilter):
    title = "actor (exact)"
    parameter_name = "actor"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        return queryset.filter(actor__in=spelled(typed)) if typed else queryset


class ActionFilter(InputFilter):
    title = "action (exact)"
    parameter_name = "did"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        typed = self.typed()
        return queryset.filter(action=typed) if typed else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "actor", "actor_kind", "action", "object_id", "organization", "changed")
    list_select_related = ("organization",)
    list_filter = (CreatedFilter, ActorFilter, ActionFilter, OrganizationFilter)
    search_fields = ("object_id",)
    search_help_text = "Exact id of the object; of an API key its first 12 characters, of a user the name."
    ordering = ("-id",)
    fields = (
        *("created_at", "actor_kind", "actor", "remote_address", "action", "object_id", "organization"),
        *("was", "is_now"),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip().replace("\0", "")
        if not term:
            return queryset, False
        found = Q(object_id__in=spelled(term))
        if key := _ACCOUNT_KEY.search(term):
            # Whatever its name was then.
            found |= Q(action__in=ABOUT_ACCOUNTS, object_id__endswith=key[0])
        return queryset.filter(found), False

    @admin.display(description="changed")
    def changed(self, entry: AuditEntry) -> str:
        return ", ".join(sorted({*entry.before, *entry.after})) or "-"

    @admin.display(description="before")
    def was(self, entry: AuditEntry) -> str:
        return _listed(entry.before)

    @admin.display(description="after")
    def is_now(self, entry: AuditEntry) -> str:
        return _listed(entry.after)


def _listed(values: dict[str, Any]) -> str:
    return format_html_join("", "<div>{}: {}</div>", sorted(values.items())) or "-"
