"""Sends one request and says what came back. Knows no database, no queue and no settings."""

from delivery.sender.result import Answer, NoAnswer, OutgoingRequest
from delivery.sender.transport import Transport

__all__ = ["Answer", "NoAnswer", "OutgoingRequest", "Transport"]
