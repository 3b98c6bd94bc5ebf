"""What Skyvern answers with 400, and this service elsewhere with 409 or 422."""

from webhooks_project.errors import DomainError


class BadRequest(DomainError):
    """The request cannot be carried out."""

    status = 400
    code = "bad_request"


class NotTerminal(BadRequest):
    """The run has not ended."""

    code = "not_ended"


class AlreadyTerminal(BadRequest):
    """The run has ended."""

    code = "impossible_move"


class NoWebhookURL(BadRequest):
    """No webhook URL configured for the run."""

    code = "no_url"


class NoSigningKey(BadRequest):
    """There is no valid API key that signs webhooks: make one with "signs": true and call with it."""

    code = "no_signing_key"


class BlockedTarget(BadRequest):
    """The host in your url is blocked or could not be resolved."""

    code = "url_not_allowed"
