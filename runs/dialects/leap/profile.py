"""Leap workflows (seed 000): two schema versions, no signature of its own."""

from datetime import UTC, datetime

from runs.dialects.profile import IdForm, Profile
from subscriptions.event_types import WORKFLOW_COMPLETED, WORKFLOW_FAILED, PayloadFormat, SignatureScheme

# Workflows made before this day are likely on v1; an explicit choice wins.
VERSION_2_SINCE = datetime(2023, 12, 30, tzinfo=UTC)


def default_format(created_at: datetime) -> str:
    return PayloadFormat.LEAP_V1 if created_at < VERSION_2_SINCE else PayloadFormat.LEAP_V2


PROFILE = Profile(
    name="leap",
    workflow_ids=IdForm(prefix="wkf", length=14, strict=True),
    version_ids=IdForm(prefix="vsp", length=14, strict=True),
    run_ids=IdForm(prefix="rnp", length=18, strict=True),
    payload_formats=(PayloadFormat.LEAP_V1, PayloadFormat.LEAP_V2),
    versions=(PayloadFormat.LEAP_V1, PayloadFormat.LEAP_V2),
    whole_context_formats=(PayloadFormat.LEAP_V1,),
    default_format=default_format,
    signature_schemes=(SignatureScheme.NONE,),
    retry_policy="standard",
    timeout_seconds=10.0,
    callback_events=(WORKFLOW_COMPLETED, WORKFLOW_FAILED),
    base_path="leap",
    urls="runs.dialects.leap.urls",
)
