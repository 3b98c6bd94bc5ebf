"""Every move from every state: where it leads, and who is told."""

import itertools

import pytest

from runs.states import (
    ENDED,
    RUN_MOVES,
    STEP_EVENTS,
    UNENDED,
    Move,
    RunStatus,
    StepStatus,
    step_move_allowed,
)

# move: {from: (to, event)}; whatever is not listed is impossible.
COMPLETED, FAILED, CANCELLED = "workflow.completed", "workflow.failed", "workflow.cancelled"
TABLE: dict[str, dict[str, tuple[str, str | None]]] = {
    "start": {"queued": ("running", "workflow.started"), "paused": ("running", None)},
    "pause": {"running": ("paused", None)},
    "progress": {"running": ("running", None)},
    "complete": {"running": ("completed", COMPLETED)},
    "fail": dict.fromkeys(("queued", "running", "paused"), ("failed", FAILED)),
    "terminate": dict.fromkeys(("queued", "running", "paused"), ("terminated", FAILED)),
    "time-out": dict.fromkeys(("queued", "running", "paused"), ("timed_out", FAILED)),
    "cancel": dict.fromkeys(("queued", "running", "paused"), ("cancelled", CANCELLED)),
}
EVERY_CASE = list(itertools.product(Move, RunStatus))


@pytest.mark.parametrize(("move", "state"), EVERY_CASE, ids=[f"{move} from {s}" for move, s in EVERY_CASE])
def test_a_move_from_a_state(move: Move, state: RunStatus) -> None:
    rule = RUN_MOVES[move]

    possible = state in rule.sources
    found = (rule.target or state, rule.events.get(state)) if possible else None

    assert found == TABLE[move].get(state)


def test_the_table_knows_every_move() -> None:
    assert set(TABLE) == set(Move)


def test_no_move_leads_out_of_an_end() -> None:
    assert not any(rule.sources & ENDED for rule in RUN_MOVES.values())


def test_every_state_is_either_an_end_or_not() -> None:
    assert set(RunStatus) == ENDED | UNENDED
    assert not ENDED & UNENDED


def test_every_way_to_an_end_tells_of_exactly_one_end() -> None:
    for move, rule in RUN_MOVES.items():
        if rule.target in ENDED:
            assert set(rule.events) == rule.sources, move


@pytest.mark.parametrize(
    ("move", "state", "allowed"),
    [
        (Move.START, None, True),
        (Move.START, StepStatus.RUNNING, False),
        (Move.START, StepStatus.COMPLETED, False),
        (Move.START, StepStatus.FAILED, False),
        (Move.COMPLETE, None, False),
        (Move.COMPLETE, StepStatus.RUNNING, True),
        (Move.COMPLETE, StepStatus.COMPLETED, False),
        (Move.COMPLETE, StepStatus.FAILED, False),
        (Move.FAIL, None, False),
        (Move.FAIL, StepStatus.RUNNING, True),
        (Move.FAIL, StepStatus.COMPLETED, False),
        (Move.FAIL, StepStatus.FAILED, False),
    ],
)
def test_a_step_starts_once_and_ends_once(move: Move, state: StepStatus | None, allowed: bool) -> None:
    assert step_move_allowed(move, state) is allowed


def test_each_step_move_tells_its_own_event() -> None:
    assert {str(move): (str(status), event) for move, (status, event) in STEP_EVENTS.items()} == {
        "start": ("running", "workflow.step.started"),
        "complete": ("completed", "workflow.step.completed"),
        "fail": ("failed", "workflow.step.failed"),
    }
