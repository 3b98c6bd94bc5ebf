"""The native dialect: ELAN AI Bridge's events and envelope (seed 001)."""

from runs.dialects.profile import IdForm, Profile
from subscriptions.event_types import WORKFLOW_COMPLETED, WORKFLOW_FAILED, PayloadFormat, SignatureScheme

PROFILE = Profile(
    name="elan",
    workflow_ids=IdForm(prefix="wf", length=14),
    version_ids=IdForm(prefix="wfv", length=14),
    run_ids=IdForm(prefix="run", length=18),
    payload_formats=(PayloadFormat.ELAN_EVENT, PayloadFormat.STANDARD),
    default_format=lambda created_at: PayloadFormat.ELAN_EVENT,
    signature_schemes=(SignatureScheme.STANDARD_WEBHOOKS,),
    retry_policy="standard",
    timeout_seconds=10.0,
    callback_events=(WORKFLOW_COMPLETED, WORKFLOW_FAILED),
)
