"""One run: stack, receiver, load and faults; then quiet, draining and judgement."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2

from local import temporary
from local.stack import Stack, StackConfig
from tests.chaos.api import Answers, Caller
from tests.chaos.breaker import Breaker
from tests.chaos.faults import schedule
from tests.chaos.ledger import Verdict, judge
from tests.chaos.listeners import Listeners, set_up
from tests.chaos.load import Load
from tests.chaos.records import Evidence
from tests.chaos.report import figures
from tests.chaos.rows import Rows
from tests.chaos.target import Target

# Long enough to record over a short restart of the database, short enough to watch take-overs.
LEASE_MARGIN_SECONDS = 3.0
# The longest wait of a schedule is 20 s; a few attempts may meet what is left of the chaos.
DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.5
# Events are reported for so long, until something came from every worker.
PROBE_SECONDS = 20.0
# What is still on its way when the last row has ended: a request, up to its time-out.
LAST_REQUESTS_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """What to run."""

    seconds: float
    seed: int
    rate: float
    """Events per second; each makes 1 to 50 deliveries, 4 on average."""
    workers: int = 2
    concurrency: int = 32
    logs_to: Path
    """Where the logs of all processes are kept after the run."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    verdict: Verdict
    evidence: Evidence
    figures: dict[str, Any]


def run(config: Config, say: Callable[[str], None]) -> Outcome:
    """Start everything, break it for so long, let it recover, and judge."""
    env = {
        "DELIVERY_LEASE_MARGIN_SECONDS": str(LEASE_MARGIN_SECONDS),
        # Events with one recipient take one way, those with more the other.
        "FAN_OUT_AT_ONCE_MAX": "1",
    }
    with (
        temporary.folder() as folder,
        Target(config.seed) as target,
        Stack(
            StackConfig(data_dir=folder, workers=config.workers, concurrency=config.concurrency, env=env)
        ) as stack,
    ):
        key = stack.manage("create_api_key", "--organization", "chaos", "--scopes", "all").strip()
        listeners = set_up(Caller(stack.base_url, key, Answers()), target)
        load = Load(
            base_url=stack.base_url,
            key=key,
            listeners=listeners,
            seed=config.seed,
            rate=config.rate,
            seconds=config.seconds,
        )
        narrow_the_rule(stack)
        rows = Rows(stack.settings["DATABASE_URL"], lease_margin_seconds=LEASE_MARGIN_SECONDS)
        planned = schedule(config.seed, config.seconds, config.workers)
        began = time.monotonic()
        target.begin()
        with Breaker(
            stack, planned, seconds=config.seconds, name_peers=target.name_peers, say=say
        ) as breaker:
            load.start()
            time.sleep(config.seconds)
            breaker.finish()
            load.stop()
            target.calm_down()
            quiet = time.monotonic()
            left = drain(rows)
            drained = time.monotonic()
            say(f"quiet after {quiet - began:.0f} s; {left} deliveries open {drained - quiet:.0f} s later")
            silent = silent_workers(stack, load, target)
            drain(rows)
            time.sleep(LAST_REQUESTS_SECONDS)
        evidence = replace(collect(rows, load, listeners, target, breaker), silent=silent)
        # They are removed with the stack's folder, and they are what one wants after a failure.
        shutil.copytree(stack.folder / "logs", config.logs_to, dirs_exist_ok=True)
    verdict = judge(evidence)
    values = figures(verdict, evidence, workers=config.workers)
    head = {"seed": config.seed, "seconds": config.seconds, "rate": config.rate}
    tail = {"drained_s": round(drained - quiet, 1)}
    return Outcome(verdict=verdict, evidence=evidence, figures=head | values | tail)


def narrow_the_rule(stack: Stack) -> None:
    """An operator allows less than before: each worker knows from its first restart on."""
    for name, service in stack.processes.items():
        if name.startswith("worker-"):
            service.env = {**service.env, "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"}


def silent_workers(stack: Stack, load: Load, target: Target) -> set[str]:
    """Workers that run, but from which nothing comes now that all is quiet."""
    silent = {name for name in stack.processes if name.startswith("worker-")}
    since = time.time()
    ends = time.monotonic() + PROBE_SECONDS
    while silent and time.monotonic() < ends:
        load.probe()
        time.sleep(LOOK_SECONDS / 5)
        silent -= {request.peer.worker or "" for request in list(target.requests) if request.at > since}
    return silent


def drain(rows: Rows) -> int:
    """Wait until no delivery is open; how many are after all."""
    ends = time.monotonic() + DRAIN_SECONDS
    left = -1
    while time.monotonic() < ends:
        with suppress(psycopg2.OperationalError):
            left = rows.open_deliveries()
        if left == 0:
            break
        time.sleep(LOOK_SECONDS)
    return left


def collect(rows: Rows, load: Load, listeners: Listeners, target: Target, breaker: Breaker) -> Evidence:
    return Evidence(
        told=load.book.told,
        unanswered=load.book.unanswered,
        cancelled=load.book.cancelled,
        answers=load.answers.counts,
        refusals=load.book.refusals,
        events=rows.events(),
        deliveries=rows.deliveries(),
        attempts=rows.attempts(),
        requests=list(target.requests),
        faults=sorted(breaker.faults, key=lambda fault: fault.began),
        secrets=listeners.secrets,
    )
