"""`manage.py simulate`: runs as executors report them, for trying things out."""

import io
import os
import re
import signal
import threading
import time
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from delivery.models import Event
from runs.management.commands import simulate as simulate_command
from runs.models import Run, Step
from runs.simulation.load import Simulation
from runs.simulation.plan import Plan, reports
from runs.states import Move
from subscriptions.models import Organization
from tests.integration.conftest import CollectedWakeUps

QUICK = ("--rate", "1000", "--step-seconds", "0.01")


def simulate(organization: Organization, *arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("simulate", "--organization", organization.name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def statuses() -> dict[str, int]:
    found = list(Run.objects.values_list("status", flat=True))
    return {status: found.count(status) for status in found}


@pytest.mark.parametrize(("failing", "status"), [("0", "completed"), ("100", "failed")])
def test_all_runs_come_to_their_end(organization: Organization, failing: str, status: str) -> None:
    out, err = simulate(organization, *QUICK, "--runs", "7", "--steps", "3", "--failing", failing)

    assert statuses() == {status: 7}
    assert out.startswith("7 runs in ")
    assert f": 7 {status}; {Step.objects.count()} steps" in out
    assert err == ""
    assert set(Step.objects.values_list("status", flat=True)) <= {"completed", status}


class Terminal(io.StringIO):
    """Somebody looks at it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate_command, "SHOWN_EVERY_SECONDS", 0.0)
    out, err = io.StringIO(), Terminal()

    call_command(
        *("simulate", "--organization", organization.name, "--runs", "3", "--rate", "20"),
        *("--steps", "1", "--step-seconds", "0.01"),
        stdout=out,
        stderr=err,
    )

    lines = [line.strip() for line in err.getvalue().split("\r")]
    assert "1 of 3 runs begun, 0 ended" in lines
    assert any(re.fullmatch(r"3 of 3 runs begun, \d ended, 0:00:0\d left", line) for line in lines)
    assert out.getvalue().startswith("3 runs in ")


@pytest.mark.parametrize("dialect", ["leap", "leaperone", "skyvern", "eachlabs"])
def test_subscriptions_are_told_as_of_any_other_run(
    organization: Organization, subscribe: Any, wake_ups: CollectedWakeUps, dialect: str
) -> None:
    subscribe(events=["*"])

    simulate(organization, *QUICK, "--runs", "2", "--dialect", dialect, "--failing", "0")
    simulate(organization, *QUICK, "--runs", "1", "--dialect", dialect, "--failing", "0")

    assert Event.objects.filter(type="workflow.completed").count() == 3
    assert len(wake_ups) == Event.objects.count()
    assert Run.objects.values("workflow").distinct().count() == 1
    assert Run.objects.filter(workflow__dialect=dialect).count() == 3


def test_the_same_seed_makes_the_same_runs() -> None:
    plan = Plan(runs=1, runs_per_second=1, steps_max=8, step_seconds=1, failing=0.5)

    first, second, other = (
        [reports(plan, random) for _ in range(20)] for random in (Random("a"), Random("a"), Random("b"))
    )

    assert first == second != other
    moments = [said.after_seconds for said in first[0]]
    assert moments == sorted(moments)
    ends = {said[-1].move for said in first}
    assert ends == {Move.COMPLETE, Move.FAIL}


def test_runs_begin_at_their_rate(organization: Organization) -> None:
    plan = Plan(runs=10, runs_per_second=2, steps_max=1, step_seconds=0, failing=0)
    workflow = _workflow(organization)
    simulation = Simulation(organization, workflow, plan, Random(1))

    begun = []
    for elapsed in (0.0, 0.4, 0.5, 2.9, 100.0):
        simulation.advance(elapsed)
        begun.append(simulation.begun)

    assert begun == [1, 1, 2, 6, 10]
    assert simulation.is_done


def _workflow(organization: Organization) -> Any:
    from runs.services import workflow_for

    return workflow_for(organization=organization, dialect="elan", slug="s", name="S")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_ends_it_cancels_what_is_under_way_and_gets_a_summary(
    organization: Organization, number: signal.Signals
) -> None:
    def interrupt() -> None:
        ends = time.monotonic() + 20
        while not Run.objects.filter(status="running").exists() and time.monotonic() < ends:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    out = io.StringIO()
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(SystemExit) as ended:
        call_command(
            *("simulate", "--organization", organization.name, "--runs", "50", "--rate", "20"),
            *("--step-seconds", "600"),
            stdout=out,
        )
    thread.join()

    assert ended.value.code == 130
    begun = Run.objects.count()
    assert 0 < begun < 50
    assert statuses() == {"cancelled": begun}
    assert f"{begun} cancelled" in out.getvalue()
    assert f"interrupted; {begun} of them were under way and are cancelled" in out.getvalue()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runs", "0"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--steps", "9"],
        ["--failing", "101"],
        ["--dialect", "cobol"],
    ],
)
def test_nonsense_is_refused_by_name(organization: Organization, arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        simulate(organization, *arguments)

    assert not Run.objects.exists()


def test_an_organization_that_does_not_exist_is_named() -> None:
    with pytest.raises(CommandError, match="--organization: no organization 'nobody'"):
        call_command("simulate", "--organization", "nobody")
