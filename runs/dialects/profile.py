"""What a source system sets: id forms, payload format, signatures, retries, timeout of its callbacks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from subscriptions.ids import prefixed


@dataclass(frozen=True, kw_only=True)
class IdForm:
    """`prefix_` and so many letters or digits."""

    prefix: str
    length: int
    #: do this system's callers refuse ids of another form? Then importers cannot set such either
    strict: bool = False

    def new(self) -> str:
        return prefixed(self.prefix, self.length)

    @property
    def pattern(self) -> str:
        """For the OpenAPI document."""
        return rf"^{self.prefix}_[a-zA-Z0-9]{{{self.length}}}$"

    def matches(self, text: str) -> bool:
        return re.fullmatch(rf"{self.prefix}_[a-zA-Z0-9]{{{self.length}}}", text) is not None


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One dialect. Workflows and runs of it start from these values; a workflow may override them."""

    name: str
    workflow_ids: IdForm
    version_ids: IdForm
    run_ids: IdForm
    #: formats that its callbacks may have
    payload_formats: tuple[str, ...]
    #: those of them that are versions of one another, oldest first
    versions: tuple[str, ...] = ()
    #: those of them that send the whole context: a workflow's configured outputs are none of their business
    whole_context_formats: tuple[str, ...] = ()
    #: the default one of them, by the workflow's time of creation
    default_format: Callable[[datetime], str]
    signature_schemes: tuple[str, ...]
    retry_policy: str
    timeout_seconds: float
    #: events that a run's callback is told
    callback_events: tuple[str, ...]
    #: where its API is mounted, and the module with its URLs; None for the native one
    base_path: str | None = None
    urls: str | None = None
    #: does a run that another run started tell nobody?
    silent_children: bool = False
