"""The admin of who listens, and what the admins of the other apps are built from (`base`)."""

from subscriptions.admin import organizations, subscriptions

__all__ = ["organizations", "subscriptions"]
