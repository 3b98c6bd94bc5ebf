"""Mails to organizations: what was said to whom, and why one still waits."""

from django.contrib import admin

from subscriptions.admin.base import ReadOnlyAdmin
from subscriptions.admin.filters import OrganizationFilter
from subscriptions.models import Notice


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("subject", "address", "organization", "created_at", "sent_at", "tries", "error")
    list_select_related = ("organization",)
    list_filter = (("sent_at", admin.EmptyFieldListFilter), OrganizationFilter)
    ordering = ("-id",)
    fields = (
        "organization",
        "address",
        "subject",
        "text",
        "created_at",
        "sent_at",
        "tries",
        "error",
        "next_try_at",
    )
