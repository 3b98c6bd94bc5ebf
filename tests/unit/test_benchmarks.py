"""The benchmark's arithmetic: percentiles, the ledger, ratios, demands, sizes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import bench, cpu, report, sizing, tables
from benchmarks.contestants import Contestant
from benchmarks.driver import Connection, Driver, Job
from benchmarks.figures import KEYS, LOOP, NAIVE, PRODUCT, Bar, Outcome, Run, percentile, summary
from benchmarks.ledger import judge, latencies_ms
from benchmarks.load import Load
from benchmarks.processes import Played, Sink
from benchmarks.profiles import table
from benchmarks.sink import Connection as SinkConnection
from benchmarks.sink import Log


def run(who: str, speed: float, **values: Any) -> Run:
    return Run(who=who, deliveries=100, deliveries_per_s=speed, **values)


class TestPercentiles:
    @pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100)])
    def test_that_share_of_the_values_is_no_larger(self, share: float, expected: float) -> None:
        assert percentile(range(100, 0, -1), share) == expected

    def test_of_few_values_the_99th_is_the_largest(self) -> None:
        assert percentile([3.0, 1.0, 2.0], 0.99) == 3

    def test_of_nothing_there_is_none(self) -> None:
        assert percentile([], 0.5) is None


class TestWarmUp:
    def test_its_calls_have_no_figure_and_its_events_are_in_the_ledger_all_the_same(self) -> None:
        calls = [(0, 1.0, 3.0, 202), (1, 4.0, 5.0, 202)]
        played = Played(calls=calls, ids=[(0, "a", 1.0), (1, "b", 4.0)], refused="", cpu_seconds=0)
        load = Load(stories=[[]], paths=[["/n/0"]], count=2, first_counted=1)

        counted = played.from_story(load.first_counted)

        assert (counted.calls, counted.began) == ([(1, 4.0, 5.0, 202)], 4)
        assert (counted.ids, load.deliveries, load.events_counted) == (played.ids, 2, 1)


class TestProfile:
    def test_each_scenario_has_a_folder_of_its_own(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        folders: list[Path] = []

        @contextmanager
        def noted(folder: Path, *_: object) -> Iterator[None]:
            folders.append(folder)
            yield

        monkeypatch.setattr(bench, "Profiler", noted)
        monkeypatch.setattr(bench, "measure", lambda *_: run(PRODUCT, 100))
        whole = bench.Bench(bench.Options(profile_to=tmp_path), Sink.__new__(Sink), lambda text: None)

        for name in ("fanout", "drain"):
            whole.run(Measuring(name))

        assert folders == [tmp_path / "fanout", tmp_path / "drain"]


@dataclass
class Measuring:
    """A scenario of one measurement."""

    name: str
    work = "none"

    def run(self, bench: bench.Bench) -> Outcome:
        bench.measure(Contestant.__new__(Contestant), Load(stories=[[]], paths=[["/n/0"]], count=1))
        return Outcome(scenario=self.name, work=self.work)


class TestLedger:
    EXPECTED = (("/n/0", "evt_1"), ("/n/1", "evt_1"))

    def test_each_request_once_is_exact(self) -> None:
        ledger = judge(self.EXPECTED, [("/n/1", "evt_1", 2.0), ("/n/0", "evt_1", 1.0)])

        assert (ledger.lost, ledger.duplicates, ledger.strangers) == (0, 0, 0)
        assert ledger.complaints() == ()

    def test_a_missing_one_is_lost_even_if_another_came_twice(self) -> None:
        ledger = judge(self.EXPECTED, [("/n/0", "evt_1", 1.0), ("/n/0", "evt_1", 2.0)])

        assert ledger.complaints() == ("1 lost", "1 doubled")

    def test_what_nobody_asked_for_is_named(self) -> None:
        arrivals = [("/n/0", "evt_1", 1.0), ("/n/1", "evt_1", 1.0), ("/n/0", "evt_2", 1.0)]

        assert judge(self.EXPECTED, arrivals).complaints() == ("1 sent without cause",)

    def test_latency_counts_from_the_call_to_each_receivers_first_request(self) -> None:
        arrivals = [("/n/0", "evt_1", 10.5), ("/n/1", "evt_1", 10.25), ("/n/0", "evt_1", 11.0)]

        assert latencies_ms({"evt_1": 10.0}, arrivals) == [500, 250]


class TestSummary:
    def test_it_has_the_fixed_keys_and_medians_of_the_products_main_load(self) -> None:
        outcome = Outcome(
            scenario="single",
            work="",
            runs=[
                *(run(PRODUCT, speed, cpu_ms_per_delivery={"api": speed / 100}) for speed in (90, 300, 100)),
                run(PRODUCT, 9_999, variant="other"),
                *(run(LOOP, speed) for speed in (190, 200, 400)),
                run(NAIVE, 25, lost=3),
            ],
        )

        told = summary(outcome)

        assert tuple(told) == KEYS
        assert (told["deliveries_per_s"], told["ratio_to_loop"], told["ratio_to_naive"]) == (100, 0.5, 4)
        assert told["cpu_ms_per_delivery"] == {"api": 1.0}
        assert told["lost"] == 0, "what naive loses is not the product's"
        assert len(told["runs"]) == 8

    def test_without_a_yardstick_there_is_no_ratio(self) -> None:
        assert summary(Outcome(scenario="s", work="", runs=[run(PRODUCT, 100)]))["ratio_to_naive"] is None


class TestBars:
    @pytest.mark.parametrize(
        ("value", "verdict"),
        [(0.39, "missed"), (0.4, "must reached"), (0.6, "aim reached"), (None, "not measured")],
    )
    def test_more_is_better(self, value: float | None, verdict: str) -> None:
        assert Bar(what="speed", value=value, must=0.4, aim=0.6).verdict == verdict

    @pytest.mark.parametrize(
        ("value", "verdict"), [(1.6, "missed"), (1.5, "must reached"), (1.1, "aim reached")]
    )
    def test_less_is_better_where_it_says_so(self, value: float, verdict: str) -> None:
        assert Bar(what="p99", value=value, must=1.5, aim=1.1, at_most=True).verdict == verdict

    def test_an_aim_alone_is_reached_or_missed(self) -> None:
        assert Bar(what="two workers", value=0.1, aim=2.5).verdict == "aim missed"

    def test_a_figure_without_a_demand_is_reported(self) -> None:
        assert Bar(what="ratio", value=1.2).verdict == "reported"


def test_the_table_has_medians_with_their_range_and_the_demands() -> None:
    runs = [run(PRODUCT, speed, problems=("1 lost",) if speed == 300 else ()) for speed in (90, 100, 300)]
    text = report.table(
        Outcome(scenario="single", work="all", runs=runs, bars=[Bar(what="to loop", value=0.5, must=0.4)])
    )

    assert "100 (90–300)" in text
    assert "must ≥ 0.4" in text
    assert "must reached" in text
    assert "PROBLEM product: 1 lost" in text


def test_what_was_written_makes_the_same_table_again(tmp_path: Path) -> None:
    runs = [run(PRODUCT, speed, problems=("1 lost",)) for speed in (90, 100, 300)]
    bars = [Bar(what="to loop", value=0.5, must=0.4)]
    path = report.write(tmp_path, Outcome(scenario="single", work="all", runs=runs, bars=bars), 0.0)

    lines = tables.markdown([tables.read(path)])

    assert "| `single` | product | 100 (90–300) | – | – / – | – / – / – | 0.00 =  |" in lines
    assert "| `single` | to loop | 0.50 × | must ≥ 0.4 | must reached |" in lines


def test_cpu_of_others_is_what_the_machine_used_beyond_ours() -> None:
    before = cpu.Snapshot({"api": 1.0}, machine=100, capacity=1_000)
    after = cpu.Snapshot({"api": 3.0}, machine=110, capacity=1_020)

    assert cpu.used(before, after) == {"api": 2.0}
    assert cpu.others_share(before, after, ours=4) == pytest.approx(6 / 20)


def test_sizes_are_rounded_up_and_leave_room() -> None:
    parts = {"api": 0.6, "worker": 0.3, "postgresql": 0.2, "valkey": 0.05, "sink": 9.0, "driver": 9.0}

    lines = sizing.rows({"single": parts})

    # 1,000 × 1.15 ms is 1.15 s of CPU per second; at 60 % busy that is 1.92 cores.
    assert "| 1,000 | 2.0 | 1.0 | 0.5 | 0.4 | 0.1 |" in lines


def test_a_profile_names_functions_by_their_own_time_and_by_all_of_it() -> None:
    text = table("main (a.py:1);send (b.py:7) 3\nmain (a.py:1);send (b.py:9) 1\nmain (a.py:2) 4\n")

    own, whole = text.split("with what it calls")
    assert "50.0 %  send (b.py" in own
    assert "100.0 %  main (a.py" in whole


class Written(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))


class TestSink:
    REQUEST = b"POST /n/0 HTTP/1.1\r\nWebhook-ID: evt_aB\r\ncontent-length: 4\r\n\r\nbody"

    def connection(self) -> tuple[Log, SinkConnection, Written]:
        log, transport = Log(), Written()
        connection = SinkConnection(log)
        connection.connection_made(transport)
        return log, connection, transport

    def test_a_request_in_pieces_counts_once_with_its_id_as_it_was_written(self) -> None:
        log, connection, transport = self.connection()

        for cut in range(len(self.REQUEST)):
            connection.data_received(self.REQUEST[cut : cut + 1])

        assert [(path, id_) for path, id_, _ in log.dump()] == [("/n/0", "evt_aB")]
        assert transport.sent == [b"HTTP/1.1 204 No Content\r\n\r\n"]
        assert log.stats()["by_kind"] == {"n": 1}

    def test_one_that_hangs_gets_no_answer_and_counts_as_open_until_the_caller_leaves(self) -> None:
        log, connection, transport = self.connection()

        connection.data_received(self.REQUEST.replace(b"/n/0", b"/hang/1"))

        assert (transport.sent, log.open) == ([], 1)
        connection.connection_lost(None)
        assert (log.open, log.stats()["open_most"]) == (0, 1)


def test_the_driver_fills_the_first_answers_id_into_later_calls_with_the_right_length() -> None:
    calls = [("POST", "/v1/runs", "{}"), ("POST", "/v1/runs/{id}/start", '{"run_id": "{id}"}')]
    driver = Driver(Job(port=1, headers={"X": "y"}, stories=[calls], count=1, connections=1))
    connection, transport = Connection(driver), Written()
    connection.connection_made(transport)

    connection.play(0, None)
    connection.data_received(b'HTTP/1.1 201 Created\r\nContent-Length: 18\r\n\r\n{"id":"run_aaaaa"')
    connection.data_received(b"}")

    first, second = transport.sent
    assert first.startswith(b"POST /v1/runs HTTP/1.1\r\n")
    assert second.startswith(b"POST /v1/runs/run_aaaaa/start HTTP/1.1\r\n")
    body = b'{"run_id": "run_aaaaa"}'
    assert second.endswith(b"Content-Length: %d\r\n\r\n" % len(body) + body)
