"""Domain errors: each says what went wrong for the caller, with a stable code.

The docstring is the default message. `webhooks_project/api_errors.py` turns them into answers.
"""

from typing import ClassVar


class DomainError(Exception):
    """The request cannot be carried out."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        field: str | None = None,
        code: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        self.detail: str = detail or str(type(self).__doc__)
        self.field = field
        self.error_code: str = code or self.code
        self.retry_after_seconds = retry_after_seconds
        super().__init__(self.detail)


class NotFound(DomainError):
    """There is no such thing."""

    status = 404
    code = "not_found"


class InvalidInput(DomainError):
    """A value is not acceptable."""

    status = 422
    code = "invalid"


class Conflict(DomainError):
    """This contradicts what is already there."""

    status = 409
    code = "conflict"


class TooManyWaiting(DomainError):
    """Too many requests wait for an answer of a receiver; try again in a moment."""

    status = 429
    code = "too_many_waiting"

    def __init__(self) -> None:
        super().__init__(retry_after_seconds=1)
