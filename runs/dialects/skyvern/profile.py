"""Skyvern (seed 003): numbered ids, its signature keyed by the API key, every terminal status is told."""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime

from runs.dialects.profile import IdForm, Profile
from subscriptions.event_types import RUN_ENDED, PayloadFormat, SignatureScheme

# 2022-06-20, where Skyvern's own numbers begin.
EPOCH_MICROSECONDS = 1_655_683_200 * 1_000_000
RANDOM_BITS = 12


@dataclass(frozen=True, kw_only=True)
class NumberedIdForm(IdForm):
    """`prefix_` and a number that grows with time: microseconds since 2022-06-20, then 12 random bits.

    18 digits until March 2030, 19 after that, as Skyvern's. Two runs of one microsecond collide once
    in 4096 times; the table's constraint then refuses the second.
    """

    length: int = 18

    def new(self) -> str:
        microseconds = time.time_ns() // 1000 - EPOCH_MICROSECONDS
        return f"{self.prefix}_{microseconds << RANDOM_BITS | secrets.randbits(RANDOM_BITS)}"

    def matches(self, text: str) -> bool:
        return re.fullmatch(rf"{self.prefix}_[0-9]{{{self.length},{self.length + 1}}}", text) is not None


WORKFLOW_RUN_IDS = NumberedIdForm(prefix="wr")
TASK_IDS = NumberedIdForm(prefix="tsk")
TASK_V2_IDS = NumberedIdForm(prefix="tsk_v2")


def default_format(created_at: datetime) -> str:
    return PayloadFormat.SKYVERN_RUN


PROFILE = Profile(
    name="skyvern",
    workflow_ids=NumberedIdForm(prefix="wpid"),
    version_ids=NumberedIdForm(prefix="w"),
    run_ids=WORKFLOW_RUN_IDS,
    payload_formats=(PayloadFormat.SKYVERN_RUN,),
    default_format=default_format,
    signature_schemes=(SignatureScheme.SKYVERN,),
    retry_policy="skyvern",
    timeout_seconds=30.0,
    callback_events=RUN_ENDED,
    base_path="skyvern",
    urls="runs.dialects.skyvern.urls",
    silent_children=True,
)
