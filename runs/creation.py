"""New runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from delivery.outbox import Outbox
from runs import new_rows, selectors
from runs.detail import run_data
from runs.dialects import profiles
from runs.dialects.profile import IdForm
from runs.messages import event_of
from runs.models import Run, Workflow
from runs.moves import FUTURE_TOLERANCE
from runs.services import own_or_new_id
from subscriptions import rules
from subscriptions.event_types import WORKFLOW_QUEUED, SignatureScheme
from subscriptions.models import ApiKey, Organization
from subscriptions.secrets import encrypt, sealed_url
from webhooks_project.errors import Conflict, InvalidInput


@dataclass(frozen=True, kw_only=True)
class NewRun:
    """What a caller asks for, whichever dialect it speaks."""

    workflow: Workflow
    input: Any = None
    webhook_url: str = ""
    #: what the dialect calls that field, for error texts
    webhook_url_field: str = "webhook_url"
    #: sent along with the webhook where the dialect has such a thing
    webhook_secret: str = ""
    external_id: str | None = None
    #: imported; None makes new ones
    id: str | None = None
    created_at: datetime | None = None
    #: None: the form of the workflow's dialect
    id_form: IdForm | None = None
    kind: str = ""
    request: Any = None
    bulk_id: UUID | None = None
    parent: Run | None = None
    api_key: ApiKey | None = None

    @property
    def has_target(self) -> bool:
        """Will its end be told to a URL: its own, else its workflow's default?"""
        assert self.workflow.version is not None
        is_silent = self.parent is not None and profiles()[self.workflow.dialect].silent_children
        return not is_silent and bool(self.webhook_url.strip() or self.workflow.version.webhook_url)


class NoSigningKey(InvalidInput):
    """The run's webhook would be signed with an API key that does not sign."""

    code = "no_signing_key"


def run_create(*, organization: Organization, new: NewRun) -> tuple[Run, bool]:
    """A queued run, and whether it is new: the same `external_id` again gives the same run.

    Raises InvalidInput, NoSigningKey, Conflict.
    """
    run = queued_run(organization, new)
    try:
        if runs_store([run]):
            return run, True
    except IntegrityError:
        pass  # what it belongs to is gone
    return _first_of(run, own_id=new.id), False


def runs_store(runs: Sequence[Run]) -> list[Run]:
    """Those of them that are new: where an id or `external_id` is taken, nothing is stored."""
    if not runs:
        return []
    with transaction.atomic(savepoint=False):
        made = new_rows.insert(runs)
        outbox = Outbox()
        for run in made:
            # For executors that take up queued runs when they are told of them.
            queued = event_of(run, WORKFLOW_QUEUED, run.created_at, run_data(run))
            outbox.append(queued, only_if_wanted=True)
        outbox.write()
    return made


def queued_run(organization: Organization, new: NewRun) -> Run:
    """Not stored yet. Raises InvalidInput, NoSigningKey."""
    if new.created_at is not None and new.created_at > timezone.now() + FUTURE_TOLERANCE:
        raise InvalidInput("created_at lies in the future", field="created_at", code="in_the_future")
    webhook_url = new.webhook_url.strip()
    if webhook_url:
        webhook_url = rules.clean_url(webhook_url, new.webhook_url_field)
    check_key_signs(new)
    shown, token = sealed_url(webhook_url)
    return Run(
        organization=organization,
        workflow=new.workflow,
        version=new.workflow.version,
        public_id=own_or_new_id(new.id, new.id_form or profiles()[new.workflow.dialect].run_ids, "id"),
        external_id=new.external_id,
        webhook_url=shown,
        encrypted_webhook_url=token,
        encrypted_webhook_secret=encrypt(new.webhook_secret) if new.webhook_secret else "",
        input=new.input,
        kind=new.kind,
        request=new.request,
        bulk_id=new.bulk_id,
        parent=new.parent,
        api_key=new.api_key,
        created_at=new.created_at or timezone.now(),
    )


def check_key_signs(new: NewRun) -> None:
    """Scheme `skyvern` signs with the API key that creates the run, so that one must be kept for it.

    Else the run's end would be told to nobody. Raises NoSigningKey.
    """
    assert new.workflow.version is not None
    needed = new.has_target and SignatureScheme.SKYVERN in new.workflow.version.signature_schemes
    if needed and (new.api_key is None or not new.api_key.signs):
        raise NoSigningKey(
            "Webhooks are signed with the API key that creates the run, and this one was made without "
            f'"signs": true. Create a key that signs, or leave {new.webhook_url_field} out.',
            field=new.webhook_url_field,
        )


def _first_of(run: Run, own_id: str | None) -> Run:
    """The run that was there first under the same external_id, if the calls were the same."""
    first = selectors.runs(run.organization).filter(external_id=run.external_id).first()
    if run.external_id is None or first is None:
        raise Conflict("a run of this id exists", field="id", code="id_taken")
    same = (
        first.workflow_id == run.workflow_id
        and first.input == run.input
        and first.full_webhook_url == run.full_webhook_url
        and own_id in (None, first.public_id)
    )
    if not same:
        raise Conflict("another run has this external_id", field="external_id", code="external_id_taken")
    return first
