"""A run as the payload formats see it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from delivery.formats import microseconds_z
from runs.models import Run, Step
from runs.states import RunStatus


class RunDetail:
    """The run, and its steps only if a format asks for them."""

    def __init__(self, run: Run, steps: Sequence[Step] | Callable[[], Sequence[Step]] | None = None) -> None:
        """`steps`, or what reads them; else they are read from the database."""
        self.run = run
        self._steps = steps

    @cached_property
    def steps(self) -> list[Step]:
        if self._steps is None:
            return list(self.run.steps.order_by("index"))
        return list(self._steps() if callable(self._steps) else self._steps)

    def context(self) -> dict[str, Any]:
        """The full output of every step by its key, in the order of their starts."""
        return {step.key: step.output for step in self.steps}

    def variables(self) -> dict[str, Any]:
        """What configured outputs may name, but for the executor's own `output`."""
        steps = {
            step.key: {"input": step.input, "output": step.output, "primary": step.primary}
            for step in self.steps
        }
        return {"input": self.run.input, "steps": steps}


def run_data(run: Run) -> dict[str, Any]:
    """`data` of a workflow event in the generic shape."""
    return {
        "run_id": run.public_id,
        "status": str(run.status),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
        "input": run.input,
        "output": run.output if run.status == RunStatus.COMPLETED else None,
        "error": run.error,
    }


def step_data(run: Run, step: Step) -> dict[str, Any]:
    """`data` of a step event: the step's part, and the run that it belongs to."""
    return {
        "run_id": run.public_id,
        "step_id": step.key,
        "step_name": step.name or step.key,
        "step_index": step.index,
        "status": str(step.status),
        "started_at": moment(step.started_at),
        "ended_at": moment(step.ended_at),
        "input": step.input,
        "output": step.output,
        "error": step.error,
    }


def moment(value: datetime | None) -> str | None:
    return None if value is None else microseconds_z(value)
