"""Where the end of a run is told to besides subscriptions: a URL of its own, else its workflow's."""

from delivery.callbacks import Callback
from runs.dialects import profiles
from runs.models import Run
from subscriptions.addresses import same_origin
from subscriptions.event_types import SignatureScheme
from subscriptions.secrets import sealed_url


def callback_of(run: Run, event_type: str) -> Callback | None:
    """The run's own URL, else its workflow's default; told only of the events of its dialect."""
    profile = profiles()[run.workflow.dialect]
    if event_type not in profile.callback_events or (run.parent_id and profile.silent_children):
        return None
    return callback_to(run) if run.has_target else None


def callback_to(run: Run, url: str = "", *, timeout_seconds: float | None = None) -> Callback:
    """The run's webhook settings, aimed at `url` or else at its own target, which stays encrypted."""
    version = run.version
    own = run if run.webhook_url else version
    shown, token = sealed_url(url) if url else (own.webhook_url, own.encrypted_webhook_url)
    headers_for = version.webhook_url or run.webhook_url
    return Callback(
        url=shown,
        encrypted_url=token,
        payload_format=version.payload_format,
        signature_schemes=_schemes(run, shown),
        retry_policy=version.retry_policy,
        retry_schedule=None if version.retry_schedule is None else tuple(version.retry_schedule),
        timeout_seconds=timeout_seconds or version.timeout_seconds,
        workflow_id=run.workflow.public_id,
        api_key_id=run.api_key_id,
        encrypted_secret=run.encrypted_webhook_secret,
        # Credentials for the workflow's receiver are not for whatever URL a caller names.
        encrypted_headers=version.encrypted_headers if same_origin(shown, headers_for) else "",
    )


def _schemes(run: Run, url: str) -> tuple[str, ...]:
    """The version's, and the run's own text in plain, but to nobody else than it was given for."""
    schemes = run.version.signature_schemes
    if not run.encrypted_webhook_secret:
        return tuple(schemes)
    schemes = [s for s in schemes if s not in (SignatureScheme.NONE, SignatureScheme.SHARED_SECRET)]
    if same_origin(url, run.webhook_url or run.version.webhook_url):
        schemes.append(SignatureScheme.SHARED_SECRET)
    return tuple(schemes) or (SignatureScheme.NONE,)
