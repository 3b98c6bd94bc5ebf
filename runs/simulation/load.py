"""Carries a plan out through the services, as the API's views would: what is due is reported together."""

import heapq
from collections import Counter
from itertools import count
from random import Random
from typing import NamedTuple

from django.conf import settings

from runs.creation import NewRun, run_create
from runs.models import Workflow
from runs.moves import Report
from runs.simulation.plan import Plan, Say, an_input, reports
from runs.states import Move
from runs.transitions import Reported, report_all
from subscriptions.models import Organization
from webhooks_project.errors import DomainError

UNDER_WAY_MAX = 5000
# Between two reports: what is slower than its rate still goes on evenly, and hears of Ctrl-C.
BEGUN_AT_ONCE_MAX = 50


class Due(NamedTuple):
    """What is to be said of a run at a moment; `number` decides between equal ones."""

    at: float
    number: int
    run_id: str
    said: Say


class Simulation:
    """The runs under way, and what came of those that have ended."""

    def __init__(self, organization: Organization, workflow: Workflow, plan: Plan, random: Random) -> None:
        self.begun = 0
        self.steps = 0
        self.ended: Counter[str] = Counter()
        self.under_way: set[str] = set()
        self._organization, self._workflow, self._plan, self._random = organization, workflow, plan, random
        self._due: list[Due] = []
        self._numbers = count()

    @property
    def is_done(self) -> bool:
        return self.begun >= self._plan.runs and not self._due

    def advance(self, elapsed: float) -> None:
        """All that is due after so many seconds. Raises DomainError."""
        for _ in range(BEGUN_AT_ONCE_MAX):
            if not self._begins_by(elapsed) or len(self.under_way) >= UNDER_WAY_MAX:
                break
            self._begin(elapsed)
        due: list[Due] = []
        while self._due and self._due[0].at <= elapsed and len(due) < settings.RUN_REPORTS_PER_BATCH_MAX:
            due.append(heapq.heappop(self._due))
        self._report([(one.run_id, one.said) for one in due])

    def cancel_all(self) -> None:
        """So that nothing is left that no executor will ever end."""
        said = Say(0.0, None, Move.CANCEL, {"error": {"message": "The simulation was stopped"}})
        self._report([(run_id, said) for run_id in sorted(self.under_way)])
        self._due.clear()

    def _begins_by(self, elapsed: float) -> bool:
        return self.begun < self._plan.runs and self.begun / self._plan.runs_per_second <= elapsed

    def _begin(self, at: float) -> None:
        new = NewRun(workflow=self._workflow, input=an_input(self._random))
        run, _ = run_create(organization=self._organization, new=new)
        self.begun += 1
        self.under_way.add(run.public_id)
        for said in reports(self._plan, self._random):
            heapq.heappush(self._due, Due(at + said.after_seconds, next(self._numbers), run.public_id, said))

    def _report(self, all_said: list[tuple[str, Say]]) -> None:
        reported = [
            Reported(
                organization=self._organization,
                run_id=run_id,
                step=said.step,
                move=said.move,
                report=Report(values=said.values),
            )
            for run_id, said in all_said
        ]
        for (run_id, said), answer in zip(all_said, report_all(reported), strict=True):
            if isinstance(answer, DomainError):
                raise answer
            if said.step is not None:
                self.steps += said.move is Move.START
            elif said.move is not Move.START:
                self.ended[answer.state] += 1
                self.under_way.discard(run_id)
