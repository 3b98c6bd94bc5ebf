"""The admin of who listens, and what the admins of the other apps are built from (`base`)."""

from subscriptions.admin import audit, notices, organizations, subscriptions, users

__all__ = ["audit", "notices", "organizations", "subscriptions", "users"]
