"""The admin of the pipeline: what happened, and the few things that a person may do about it."""

from delivery.admin import deliveries, log, replays, subscriptions

__all__ = ["deliveries", "log", "replays", "subscriptions"]
