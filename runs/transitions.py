"""Reports of executors: a run or step moves, and its event is written in the same transaction.

The rows of the runs are locked first, so reports of one run are decided one after another: the state, the
order of steps and the single end of a run hold under any concurrency. However many reports there are, they
cost the statements of a few: what they make of their runs is written once, after the last of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import transaction

from delivery.outbox import Outbox
from runs import rows
from runs.detail import run_data, step_data
from runs.held import HeldRun
from runs.messages import event_of
from runs.models import Run
from runs.moves import Report, move_run, move_step
from runs.run_callbacks import callback_of
from runs.states import Move
from subscriptions.models import Organization
from webhooks_project.errors import DomainError, NotFound


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A report, of the step if it names one, else of the run."""

    organization: Organization
    run_id: str
    step: str | None = None
    move: Move
    report: Report
    #: what the caller wants to know of the run as it is afterwards
    show: Callable[[HeldRun], Any] = field(default=lambda held: None)
    #: which needs all of its steps?
    shows_steps: bool = False

    @property
    def run_name(self) -> rows.RunName:
        return self.organization.pk, self.run_id


class Applied(NamedTuple):
    """What it was applied to, the state in which that was afterwards, and what was to be shown of it."""

    held: HeldRun
    state: str
    shown: Any


def report_run(*, organization: Organization, run_id: str, move: Move, report: Report) -> Run:
    """Move a run. Raises NotFound, InvalidInput, or Conflict naming the state it is in."""
    return report_one(Reported(organization=organization, run_id=run_id, move=move, report=report)).held.run


def report_all(reported: Sequence[Reported]) -> list[Applied | DomainError]:
    """Many in one transaction; in their order, each what came of it, as if it had come alone."""
    if not reported:
        return []
    with transaction.atomic(savepoint=False):
        held = rows.hold({said.run_name: said.organization for said in reported})
        _read_steps(held, reported)
        outbox = Outbox()
        answers = [_answer(held.get(said.run_name), said, outbox) for said in reported]
        rows.write(list(held.values()))
        outbox.write()
    return answers


def _read_steps(held: Mapping[rows.RunName, HeldRun], reported: Sequence[Reported]) -> None:
    found = [(held[said.run_name], said) for said in reported if said.run_name in held]
    whole = {one.run.pk: one for one, said in found if said.shows_steps}
    rows.read_all_steps(list(whole.values()))
    rows.read_steps([(one, said.step) for one, said in found if said.step and one.run.pk not in whole])


def report_one(said: Reported) -> Applied:
    """Raises NotFound, InvalidInput, Conflict."""
    (answer,) = report_all([said])
    if isinstance(answer, DomainError):
        raise answer
    return answer


def _answer(held: HeldRun | None, said: Reported, outbox: Outbox) -> Applied | DomainError:
    try:
        if held is None:
            organization_id = said.organization.public_id
            raise NotFound(f"Run {said.run_id} not found in organization {organization_id}")
        if said.step is None:
            _apply_to_run(held, said, outbox)
            return Applied(held, str(held.run.status), said.show(held))
        _apply_to_step(held, said, said.step, outbox)
        return Applied(held, str(held.steps[said.step].status), said.show(held))
    except DomainError as error:
        return error


def _apply_to_run(held: HeldRun, said: Reported, outbox: Outbox) -> None:
    happened = move_run(held, said.move, said.report)
    if happened is None or happened.event_type is None:
        return
    run, event_type = held.run, happened.event_type
    new = event_of(run, event_type, happened.at, run_data(run), detail=held.detail())
    outbox.append(new, callback=callback_of(run, event_type))


def _apply_to_step(held: HeldRun, said: Reported, key: str, outbox: Outbox) -> None:
    happened = move_step(held, key, said.move, said.report)
    if happened is None or happened.event_type is None:
        return
    data = step_data(held.run, held.steps[key])
    outbox.append(event_of(held.run, happened.event_type, happened.at, data, detail=held.detail()))
