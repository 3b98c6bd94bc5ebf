"""Where a Skyvern run's webhook may go, and which API key signs it."""

from runs.dialects.skyvern.errors import BlockedTarget, NoSigningKey
from runs.models import Run, WorkflowVersion
from subscriptions import rules
from subscriptions.event_types import SignatureScheme
from subscriptions.models import ApiKey
from webhooks_project.errors import InvalidInput

HINT = (
    "The target is blocked or could not be resolved: use a receiver that is public, or let the operator "
    "of this service allow its network (WEBHOOK_ALLOWED_NETWORKS)."
)


def clean_target(url: str | None) -> str:
    """The URL, stripped, with `https://` where it has no scheme; empty for none.

    Raises BlockedTarget, which is Skyvern's 400, or InvalidInput for a text that is too long.
    """
    url = (url or "").strip()
    if not url:
        return ""
    if "://" not in url:
        url = f"https://{url}"
    try:
        return rules.clean_url(url, "webhook_url")
    except InvalidInput as error:
        if error.error_code != BlockedTarget.code:
            raise
        raise BlockedTarget(f"{error.detail}. {HINT}", field="webhook_url") from None


def needs_signing_key(version: WorkflowVersion) -> bool:
    """Not where the workflow's owner chose other schemes only."""
    return SignatureScheme.SKYVERN in version.signature_schemes


def key_for_retry(run: Run, caller: ApiKey | None) -> ApiKey | None:
    """The caller's key, as Skyvern does, so that a receiver which knows only the new key after a rotation
    can verify; else the one that created the run, while it is in force. Raises NoSigningKey.
    """
    if not needs_signing_key(run.version):
        return run.api_key
    if caller is not None and caller.signs and caller.organization_id == run.organization_id:
        return caller
    creator = run.api_key
    if creator is not None and creator.signs and creator.revoked_at is None:
        return creator
    raise NoSigningKey
