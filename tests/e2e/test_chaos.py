"""`make chaos` in short: a seed whose first seconds hold the worst of each kind of fault."""

from pathlib import Path

import pytest

from tests.chaos.report import complaint
from tests.chaos.run import Config, run

SEED = 1612


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_every_second_copy_is_explained_whatever_is_killed(tmp_path: Path) -> None:
    outcome = run(Config(seconds=25, seed=SEED, rate=10, logs_to=tmp_path / "logs"), print)

    assert outcome.verdict.passed, complaint(outcome.verdict, outcome.evidence, SEED)
    figures = outcome.figures
    assert figures["lost"] == 0
    # Eight are planned; a slow machine may not come to the last of each lane.
    assert min(figures["kills"], figures["broker_faults"], figures["database_faults"]) >= 1
    # There was something to lose.
    assert figures["delivered"] > 50
