"""Seed 001's envelope: it can carry every event. Pure."""

from delivery.formats import Message, compact_json, seconds_z
from subscriptions.event_types import PayloadFormat


def elan_event(message: Message) -> bytes:
    """The six keys of the envelope in their order; `workflow_id` is null for custom events."""
    return compact_json(
        {
            "event_id": message.event_id,
            "event_type": message.event_type,
            "workflow_id": message.source or None,
            "organization_id": message.organization_id,
            "timestamp": seconds_z(message.occurred_at),
            "data": dict(message.data),
        }
    )


FORMATS = {PayloadFormat.ELAN_EVENT: elan_event}
