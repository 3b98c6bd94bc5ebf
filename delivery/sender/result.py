"""What goes in and what comes out of the sender."""

from dataclasses import dataclass, field

from delivery.states import ErrorClass


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A POST, ready to go."""

    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: total deadline over name look-up, connecting, TLS, sending and receiving
    timeout_seconds: float


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The receiver answered, with whatever status."""

    status_code: int
    headers: dict[str, str]
    body: str
    duration_ms: float

    @property
    def accepted(self) -> bool:
        """Any 2xx acknowledges; a redirect is a failure and is not followed."""
        return 200 <= self.status_code < 300


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """No complete answer came; `error_class` says why, `message` is for the customer."""

    error_class: ErrorClass
    message: str
    duration_ms: float

    @property
    def refused(self) -> bool:
        """The operator's rule forbids the target: another attempt would be refused as well."""
        return self.error_class is ErrorClass.ADDRESS_NOT_ALLOWED


class SendFailure(Exception):
    """Raised inside the sender where the reason is known exactly; it becomes a NoAnswer."""

    def __init__(self, error_class: ErrorClass, message: str) -> None:
        self.error_class = error_class
        self.message = message
        super().__init__(message)
