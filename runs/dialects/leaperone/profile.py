"""LEAPERone image generation (seed 002): one workflow per model, no signature, short retries."""

import re
from dataclasses import dataclass

from runs.dialects.profile import IdForm, Profile
from subscriptions.event_types import WORKFLOW_COMPLETED, WORKFLOW_FAILED, PayloadFormat, SignatureScheme
from subscriptions.ids import random_text


@dataclass(frozen=True, kw_only=True)
class DashedIdForm(IdForm):
    """`prefix-` and so many letters or digits."""

    def new(self) -> str:
        return f"{self.prefix}-{random_text(self.length)}"

    def matches(self, text: str) -> bool:
        return re.fullmatch(rf"{self.prefix}-[a-zA-Z0-9]{{{self.length}}}", text) is not None


PROFILE = Profile(
    name="leaperone",
    workflow_ids=DashedIdForm(prefix="model", length=14),
    version_ids=DashedIdForm(prefix="modelver", length=14),
    run_ids=DashedIdForm(prefix="img", length=18),
    payload_formats=(PayloadFormat.LEAPERONE,),
    default_format=lambda created_at: PayloadFormat.LEAPERONE,
    signature_schemes=(SignatureScheme.NONE,),
    retry_policy="leaperone",
    timeout_seconds=10.0,
    callback_events=(WORKFLOW_COMPLETED, WORKFLOW_FAILED),
    base_path="leaperone",
    urls="runs.dialects.leaperone.urls",
)
