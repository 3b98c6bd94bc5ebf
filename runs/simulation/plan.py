"""Runs as real executors would report them: steps that take their time, now and then one that fails.

What happens is decided when a run begins, from a seed; when is a matter of `due`. Pure but for `Random`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from runs.states import Move

STEPS = ("plan", "search", "draft", "illustrate", "review", "translate", "render", "publish")
MODELS = ("writer-large", "writer-small", "painter-xl", "reviewer")
PROMPTS = ("a portrait of a tuxedo cat", "the minutes of the meeting", "a trailer for the new season")
ERRORS = (
    ("ModelTimeout", "Model timeout after 30s"),
    ("RateLimited", "The model's provider answered 429"),
    ("ContentPolicy", "Content policy violation"),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the runs are."""

    runs: int
    runs_per_second: float
    steps_max: int
    #: on average; each step has its own
    step_seconds: float
    #: of the runs, from 0 to 1
    failing: float


class Say(NamedTuple):
    """A report: so long after the run began, of a step or of the run."""

    after_seconds: float
    step: str | None
    move: Move
    values: dict[str, Any]


def reports(plan: Plan, random: Random) -> list[Say]:
    """All that is reported of one run, in order."""
    return list(_reports(plan, random))


def an_input(random: Random) -> dict[str, Any]:
    return {"prompt": random.choice(PROMPTS), "temperature": round(random.random(), 2)}


def _reports(plan: Plan, random: Random) -> Iterator[Say]:
    at = 0.0
    steps = STEPS[: random.randint(1, plan.steps_max)]
    breaks_at = random.randrange(len(steps)) if random.random() < plan.failing else None
    yield Say(at, None, Move.START, {"executor_id": "simulation"})
    for index, step in enumerate(steps):
        yield Say(at, step, Move.START, {"name": step.capitalize()})
        # A few take much longer than most, as models' answers do.
        at += random.lognormvariate(-0.5, 1.0) * plan.step_seconds
        if index == breaks_at:
            code, message = random.choice(ERRORS)
            yield Say(at, step, Move.FAIL, {"error": {"message": message, "code": code}})
            yield Say(at, None, Move.FAIL, {"error": {"message": message, "code": code, "step": step}})
            return
        yield Say(at, step, Move.COMPLETE, _made(step, random))
    yield Say(at, None, Move.COMPLETE, {"output": {"url": _url(random)}})


def _made(step: str, random: Random) -> dict[str, Any]:
    tokens = random.randint(80, 4000)
    return {
        "output": {"text": f"{step} done", "url": _url(random)},
        "metadata": {"model": random.choice(MODELS), "tokens": tokens},
    }


def _url(random: Random) -> str:
    return f"https://cdn.example.com/{random.getrandbits(48):012x}.jpeg"
