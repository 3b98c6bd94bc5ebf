"""eachlabs workflows (seed 004): UUIDs throughout, bulk triggers, an optional shared secret."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from runs.dialects.profile import IdForm, Profile
from subscriptions.event_types import WORKFLOW_COMPLETED, WORKFLOW_FAILED, PayloadFormat, SignatureScheme


@dataclass(frozen=True, kw_only=True)
class UuidForm(IdForm):
    """A random UUID in its usual spelling."""

    prefix: str = ""
    length: int = 36

    def new(self) -> str:
        return str(uuid4())

    def matches(self, text: str) -> bool:
        try:
            return str(UUID(text)) == text
        except ValueError:
            return False


PROFILE = Profile(
    name="eachlabs",
    workflow_ids=UuidForm(),
    version_ids=UuidForm(),
    run_ids=UuidForm(),
    payload_formats=(PayloadFormat.EACHLABS_EXECUTION,),
    default_format=lambda created_at: PayloadFormat.EACHLABS_EXECUTION,
    signature_schemes=(SignatureScheme.NONE,),
    retry_policy="eachlabs",
    timeout_seconds=10.0,
    callback_events=(WORKFLOW_COMPLETED, WORKFLOW_FAILED),
    base_path="eachlabs",
    urls="runs.dialects.eachlabs.urls",
)
