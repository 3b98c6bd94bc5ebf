"""One module per line of the table; each has a class with a name, a line about the work, and `run`."""

from benchmarks.bench import Scenario
from benchmarks.scenarios.admin import Admin
from benchmarks.scenarios.backlog import Backlog
from benchmarks.scenarios.batch import Batch
from benchmarks.scenarios.bursts import fanout, single
from benchmarks.scenarios.concurrency import Concurrency
from benchmarks.scenarios.drain import Drain
from benchmarks.scenarios.history import History
from benchmarks.scenarios.https import Https
from benchmarks.scenarios.latency import Latency
from benchmarks.scenarios.noisy import Noisy
from benchmarks.scenarios.runs import Runs
from benchmarks.scenarios.scale import Scale
from benchmarks.scenarios.wide import Wide

ALL: tuple[Scenario, ...] = (
    single(),
    Batch(),
    Runs(),
    fanout(),
    Drain(),
    Latency(),
    Wide(),
    Noisy(),
    Concurrency(),
    Https(),
    History(),
    Admin(),
    Backlog(),
    Scale(),
)
