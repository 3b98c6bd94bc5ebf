"""`manage.py doctor` and the probes against the real stack: well, without workers, after a killed one."""

import json
import subprocess
import sys
from typing import Any

import pytest
import requests

from local.files import CHECKOUT
from local.stack import Stack
from tests.e2e.conftest import eventually

WORKERS = ("worker-1", "worker-2")
QUEUES = ("deliveries.first", "deliveries.retry", "deliveries.replay", "deliveries.slow", "maintenance")


def doctor(stack: Stack, **env: str) -> tuple[int, dict[str, Any]]:
    """Exit status, and what is not ok by id."""
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=CHECKOUT,
        env={**stack.env, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    findings = json.loads(done.stdout)["findings"]
    return done.returncode, {finding["id"]: finding for finding in findings if finding["level"] != "ok"}


def readyz(stack: Stack) -> tuple[int, dict[str, Any]]:
    answer = requests.get(f"{stack.base_url}/readyz", timeout=3)
    return answer.status_code, answer.json()


def test_a_stack_that_runs_is_well_and_ready(stack: Stack) -> None:
    # Beat sends its first canary a quarter of a minute after its start.
    eventually(lambda: readyz(stack)[0] == 200, 40, "the first canary")

    status, problems = doctor(stack)

    assert (status, problems) == (0, {})
    # Either of the API's processes may answer, and its first look takes longer than the others.
    well = {"problems": [], "workers": 2}.items()
    eventually(lambda: well <= readyz(stack)[1].items(), 10, "ready with both workers")


def test_stopped_workers_are_an_error_that_names_each_queue(stack: Stack) -> None:
    for name in WORKERS:
        stack.processes[name].ask_to_stop()
    for name in WORKERS:
        stack.processes[name].finish(stack.supervisor.interrupts)

    status, problems = doctor(stack)
    answer = readyz(stack)[1]
    for name in WORKERS:
        stack.restart(name)

    missed = {id_: finding["level"] for id_, finding in problems.items() if id_.startswith("workers.")}
    assert status == 1
    assert missed == {f"workers.{queue}": "error" for queue in QUEUES}
    assert all(queue in problems[f"workers.{queue}"]["todo"] for queue in QUEUES)
    assert answer["workers"] == 0
    eventually(lambda: doctor(stack) == (0, {}), 60, "well again")


def test_a_killed_worker_is_named_and_forgotten_when_it_is_back(stack: Stack) -> None:
    stack.processes["worker-1"].kill()

    def named() -> bool:
        status, problems = doctor(stack, WORKER_SILENT_SECONDS="12")
        return status == 0 and set(problems) == {"workers.silent"}

    eventually(named, 80, "a warning and nothing else, for the other worker does its work")
    assert "worker-1@" in doctor(stack, WORKER_SILENT_SECONDS="12")[1]["workers.silent"]["what"]
    stack.restart("worker-1")
    eventually(lambda: doctor(stack) == (0, {}), 30, "well again")


def test_a_stopped_beat_is_found_by_its_canary(stack: Stack) -> None:
    stack.processes["beat"].ask_to_stop()
    stack.processes["beat"].finish(stack.supervisor.interrupts)

    def found() -> bool:
        status, problems = doctor(stack, CANARY_OLD_SECONDS="20")
        return status == 1 and set(problems) == {"beat.canary"}

    eventually(found, 60, "the canary is old")
    stack.restart("beat")
    eventually(lambda: doctor(stack, CANARY_OLD_SECONDS="20") == (0, {}), 60, "well again")


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_workers_of_other_pools_say_that_they_live(stack: Stack, pool: str) -> None:
    """One more worker, for a queue of its own choice, as long as the block lasts."""
    command = [sys.executable, "-m", "celery", "-A", "webhooks_project", "worker", "--pool", pool]
    command += ["--concurrency", "2", "--queues", "maintenance", "--hostname", f"{pool}@%h"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=stack.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: readyz(stack)[1]["workers"] == 3, 40, "the third worker")
    finally:
        process.terminate()
        process.wait(30)

    eventually(lambda: readyz(stack)[1]["workers"] == 2, 10, "it took its leave")
