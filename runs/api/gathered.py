"""Group commit: new runs and reports of calls that came at the same time are stored in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from django.db import OperationalError, transaction
from psycopg2.errors import LockNotAvailable

from delivery.api.ingest import Gathering, Verdicts, Waiting
from delivery.database import PLANNED_ONCE
from runs import new_rows
from runs.api.batch import Batch
from runs.api.shown import run_shown
from runs.creation import NewRun, queued_run, runs_store
from runs.models import Run
from runs.transitions import Applied, Reported, report_all
from subscriptions.rate_limits import Verdict
from webhooks_project.errors import DomainError
from webhooks_project.process import OfProcess

# Reports of one transaction, which holds their runs.
REPORTS_MAX = 500
# In the group one waits for all others, so it waits for no other's run much longer than a transaction takes.
SETTINGS = f"{PLANNED_ONCE}; SET lock_timeout = '250ms'"


class Done(NamedTuple):
    """It is committed, and this is the answer."""

    body: Any
    verdict: Verdict | None


@dataclass(frozen=True)
class Reports(Waiting):
    """A call with reports: one, or those of a batch."""

    status: ClassVar[str] = "200 OK"
    allowed: ClassVar[str] = "POST, OPTIONS"

    reported: Sequence[Reported]
    batch: Batch | None = None

    @property
    def size(self) -> int:
        return len(self.reported)

    def body(self, answers: Sequence[Applied | DomainError]) -> Any:
        """None: the only report is refused, and it is for the ordinary view to say why."""
        if self.batch is not None:
            return self.batch.answered(answers)
        (answer,) = answers
        return answer.shown if isinstance(answer, Applied) else None


@dataclass(frozen=True)
class Creation(Waiting):
    """A call for a new run, with the values of its body."""

    size: ClassVar[int] = 1
    status: ClassVar[str] = "201 Created"
    allowed: ClassVar[str] = "GET, POST, HEAD, OPTIONS"

    values: dict[str, Any]
    full_urls: bool

    @property
    def workflow(self) -> new_rows.WorkflowName:
        return self.caller.organization.pk, self.values["workflow_id"]


Call = Reports | Creation


def _stored(calls: Sequence[Call], verdicts: Verdicts) -> dict[int, Done]:
    try:
        with transaction.atomic():
            bodies = _created([c for c in calls if isinstance(c, Creation)])
            bodies |= _reported([c for c in calls if isinstance(c, Reports)])
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        # Somebody holds one of the runs. The ordinary view waits for it, while the others go on.
        return {}
    return {id_: Done(body, verdicts[id_]) for id_, body in bodies.items() if body is not None}


def _created(calls: Sequence[Creation]) -> dict[int, Any]:
    """The new runs; what is refused, or was there before, is for the ordinary view."""
    if not calls:
        return {}
    workflows = new_rows.workflows([call.workflow for call in calls])
    runs: dict[int, Run] = {}
    for call in calls:
        values = {name: value for name, value in call.values.items() if name != "workflow_id"}
        values["webhook_url"] = values.get("webhook_url") or ""
        if call.workflow in workflows:
            new = NewRun(**values, workflow=workflows[call.workflow], api_key=call.caller.key)
            try:
                runs[id(call)] = queued_run(call.caller.organization, new)
            except DomainError:
                continue
    made = set(map(id, runs_store(list(runs.values()))))
    return {
        id(call): run_shown(runs[id(call)], (), full_urls=call.full_urls)
        for call in calls
        if id(call) in runs and id(runs[id(call)]) in made
    }


def _reported(calls: Sequence[Reports]) -> dict[int, Any]:
    answers = iter(report_all([said for call in calls for said in call.reported]))
    return {id(call): call.body([next(answers) for _ in call.reported]) for call in calls}


def new_gathering() -> Gathering[Call]:
    return Gathering(
        "runs",
        lambda calls, verdicts: _stored(calls, verdicts),
        settings=SETTINGS,
        size=lambda call: call.size,
        most=REPORTS_MAX,
    )


gathering = OfProcess(new_gathering)
