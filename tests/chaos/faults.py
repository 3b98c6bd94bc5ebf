"""What will be done to the stack, and when: a pure function of the seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.records import KINDS_OF, Kind, Lane

FIRST_AFTER_SECONDS = 2.0
# From one fault of a lane to the next, in seconds.
GAPS = {Lane.PROCESSES: (5.0, 10.0), Lane.BROKER: (10.0, 18.0), Lane.DATABASE: (10.0, 18.0)}
# How long the service stays away, or paused. Pauses are longer than every time-out that is involved
# (2 s for the broker's sockets, 5 s for a connection to PostgreSQL, 4 s for a lease of this suite).
AWAY_SECONDS = (0.0, 3.0)
PAUSED_SECONDS = (6.0, 9.0)
PAUSES = frozenset({Kind.PAUSE_BROKER, Kind.PAUSE_DATABASE})
WORKER_KINDS = frozenset({Kind.KILL_WORKER, Kind.RESTART_WORKER})


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A fault to come: seconds after the start, and how long the service stays away."""

    at: float
    lane: Lane
    kind: Kind
    target: str
    lasts: float


def schedule(seed: int, seconds: float, workers: int) -> list[Planned]:
    """All faults of a run of so many seconds, in order. Each lane goes through all its kinds by turns."""
    planned = [fault for lane in Lane for fault in _lane(lane, seed, seconds, workers)]
    return sorted(planned, key=lambda fault: fault.at)


def _lane(lane: Lane, seed: int, seconds: float, workers: int) -> Iterator[Planned]:
    # Seeded by a text of its own, so that no lane depends on what another one draws.
    dice = random.Random(f"{seed} {lane}")
    at = FIRST_AFTER_SECONDS + dice.uniform(0, GAPS[lane][0])
    bag: list[Kind] = []
    while at < seconds:
        if not bag:
            bag = dice.sample(KINDS_OF[lane], len(KINDS_OF[lane]))
        kind = bag.pop()
        lasts = dice.uniform(*(PAUSED_SECONDS if kind in PAUSES else AWAY_SECONDS))
        yield Planned(at=at, lane=lane, kind=kind, target=_target(kind, dice, workers), lasts=lasts)
        at += dice.uniform(*GAPS[lane])


def _target(kind: Kind, dice: random.Random, workers: int) -> str:
    worker = f"worker-{dice.randint(1, workers)}"
    if kind in WORKER_KINDS:
        return worker
    if kind is Kind.CUT_CONNECTIONS:
        return dice.choice([worker, worker, "api"])
    return {
        Kind.KILL_ALL_WORKERS: "workers",
        Kind.KILL_API: "api",
        Kind.RESTART_API: "api",
        Kind.KILL_BEAT: "beat",
    }.get(kind, "valkey" if kind in KINDS_OF[Lane.BROKER] else "postgres")
