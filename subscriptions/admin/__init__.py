"""The admin of who listens, and what the admins of the other apps are built from (`base`)."""

from subscriptions.admin import notices, organizations, subscriptions

__all__ = ["notices", "organizations", "subscriptions"]
