"""LEAPERone's error envelope."""

from collections.abc import Mapping
from typing import Any

from rest_framework import status

from webhooks_project.errors import DomainError

TYPES: Mapping[int, str] = {
    status.HTTP_400_BAD_REQUEST: "invalid_request_error",
    status.HTTP_401_UNAUTHORIZED: "authentication_error",
    status.HTTP_402_PAYMENT_REQUIRED: "insufficient_credits_error",
    status.HTTP_403_FORBIDDEN: "permission_error",
    status.HTTP_404_NOT_FOUND: "not_found_error",
    status.HTTP_410_GONE: "gone_error",
    status.HTTP_429_TOO_MANY_REQUESTS: "rate_limit_error",
}


class TaskExpired(DomainError):
    """Tasks can be read for 30 days; this one is older."""

    status = 410
    code = "task_expired"


def envelope(status_code: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """The common shape of errors as LEAPERone's callers read it."""
    other = "server_error" if status_code >= 500 else "invalid_request_error"
    kind = TYPES.get(status_code, other)
    return {"error": {"message": body["detail"], "type": kind, "code": body["code"]}}
