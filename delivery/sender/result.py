"""What goes in and what comes out of the sender."""

from dataclasses import dataclass, field

from delivery.phases import Phases
from delivery.states import ErrorClass

# All that a tenant hears of a refusal, whatever was refused.
REFUSED = "The target address is not allowed"


@dataclass(frozen=True, kw_only=True)
class OutgoingRequest:
    """A POST, ready to go."""

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    #: total deadline over name look-up, connecting, TLS, sending and receiving
    timeout_seconds: float
    #: whose share of the name look-ups this one uses
    organization_id: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The receiver answered, with whatever status."""

    status_code: int
    headers: dict[str, str]
    body: str
    duration_ms: float
    phases: Phases | None = None

    @property
    def accepted(self) -> bool:
        """Any 2xx acknowledges; a redirect is a failure and is not followed."""
        return 200 <= self.status_code < 300


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """No complete answer came; `error_class` says why, `message` is for the customer."""

    error_class: ErrorClass
    message: str
    #: None for a refused target: a time would tell what its name resolved to
    duration_ms: float | None
    #: up to where it failed; None for a refused target, too
    phases: Phases | None = None
    #: which address or text was refused and by which rule; never for the customer
    staff_detail: str = ""

    @property
    def refused(self) -> bool:
        """The operator's rule forbids the target: another attempt would be refused as well."""
        return self.error_class is ErrorClass.ADDRESS_NOT_ALLOWED


class SendFailure(Exception):
    """Raised inside the sender where the reason is known exactly; it becomes a NoAnswer."""

    def __init__(self, error_class: ErrorClass, message: str, staff_detail: str = "") -> None:
        self.error_class = error_class
        self.message = message
        self.staff_detail = staff_detail
        super().__init__(message)


def refusal(staff_detail: str) -> SendFailure:
    """The target is refused; `staff_detail` says why to staff alone."""
    return SendFailure(ErrorClass.ADDRESS_NOT_ALLOWED, REFUSED, staff_detail)
