"""The life of a delivery. Pure. ARCHITECTURE.md draws it with lettered edges."""

from enum import StrEnum


class State(StrEnum):
    """Where a delivery stands. "Sending" is not a state but a live lease on pending or waiting."""

    PENDING = "pending"
    WAITING = "waiting"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"
    HELD = "held"


OPEN = frozenset({State.PENDING, State.WAITING})
ENDED = frozenset({State.DELIVERED, State.EXHAUSTED, State.CANCELLED, State.BLOCKED})


class Lane(StrEnum):
    """Which queue carries a delivery's wake-ups, so that one kind of work never waits behind another."""

    FIRST = "first"
    RETRY = "retry"
    REPLAY = "replay"
    SLOW = "slow"

    @property
    def queue(self) -> str:
        return f"deliveries.{self.value}"


class ErrorClass(StrEnum):
    """Why an attempt failed, in words of the service; never a text to search in."""

    HTTP_STATUS = "http_status"
    TIMEOUT = "timeout"
    DNS = "dns_error"
    LOOKUP_LIMIT = "lookup_limit"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    NETWORK = "network_error"
    TLS = "tls_error"
    PROTOCOL = "protocol_error"
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    CANCELLED = "cancelled"
    SUBSCRIPTION_DISABLED = "subscription_disabled"
    WORKER_LOST = "worker_lost"
    NOT_SENT = "not_sent"


# Entries of the attempt log for which nothing was tried: they say nothing of the receiver.
NOT_TRIED = frozenset({ErrorClass.CANCELLED, ErrorClass.SUBSCRIPTION_DISABLED, ErrorClass.WORKER_LOST})
