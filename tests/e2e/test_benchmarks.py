"""`make bench SCENARIO=single` in short: real processes, an exact ledger, the keys that others read."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.figures import KEYS, PARTS


@pytest.mark.timeout(600)
def test_a_short_run_is_exact_and_writes_the_fixed_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["single", "--quick", "--output", str(tmp_path)])

    assert status == 0, capsys.readouterr().out
    told = json.loads((tmp_path / "single.json").read_text())
    assert tuple(told)[: len(KEYS)] == KEYS
    assert set(told) - set(KEYS) == {"bars", "problems", "machine"}
    assert set(told["cpu_ms_per_delivery"]) == set(PARTS)
    assert (told["lost"], told["duplicates"], told["problems"]) == (0, 0, [])
    assert {run["who"] for run in told["runs"]} == {"product", "loop", "naive"}
    assert min(told["ratio_to_loop"], told["ratio_to_naive"], told["latency_p50_ms"]) > 0
