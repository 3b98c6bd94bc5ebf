"""A run that this transaction has to itself, with those of its steps that are at hand."""

from collections.abc import Sequence
from datetime import datetime

from runs.detail import RunDetail
from runs.models import Run, Step


class HeldRun:
    """Its row is locked, so that what is read of it and its steps stays true until the commit."""

    def __init__(self, run: Run) -> None:
        self.run = run
        #: by key: those that were asked for, and those that were made since
        self.steps: dict[str, Step] = {}
        #: the place of the next new one
        self.next_index = 0
        #: are all of its steps at hand?
        self.is_whole = False
        self.changed = False
        self.changed_steps: set[str] = set()

    def new_step(self, key: str, *, started_at: datetime) -> Step:
        step = Step(run=self.run, key=key, index=self.next_index, started_at=started_at)
        self.steps[key] = step
        self.next_index += 1
        return step

    def detail(self) -> RunDetail:
        """The run as it stands now, for the payload formats."""
        return RunDetail(self.run, self.all_steps)

    def all_steps(self) -> Sequence[Step]:
        """In the order of their starts; what was changed here counts, for it is not written yet."""
        if not self.is_whole:
            self.steps = {step.key: step for step in self.run.steps.all()} | self.steps
            self.is_whole = True
        return sorted(self.steps.values(), key=lambda step: step.index)
