"""What the chaos suite tells: how long recovery took, and the story of a delivery that went wrong."""

from tests.chaos.ledger import judge
from tests.chaos.records import Evidence, Fault, Kind
from tests.chaos.recovery import percentile, recoveries
from tests.chaos.report import complaint
from tests.unit.chaos_cases import SECRET, START, attempt, delivery, failed, fault, request


def test_the_complaint_names_the_seed_and_tells_the_story_of_one_delivery() -> None:
    evidence = Evidence(
        told=[],
        deliveries=[delivery(state="waiting", finished=None)],
        attempts=[failed(0, 1)],
        requests=[request(0, 500)],
        faults=[fault(Kind.KILL_WORKER, 2)],
        secrets={"/one/0": SECRET},
    )

    text = complaint(judge(evidence), evidence, seed=77)

    assert "CHAOS_SEED=77" in text
    story = text[text.index("delivery d1 evt_1 /one/0: waiting") :]
    for moment in (
        "created",
        "request of worker-1 arrived",
        "attempt 1 recorded: 500",
        "FAULT kill a worker",
    ):
        assert moment in story


class TestRecovery:
    """How long attempts waited because of faults."""

    def waits(self, *faults: Fault, recorded: float) -> list[float]:
        evidence = Evidence(
            told=[],
            deliveries=[delivery()],
            attempts=[attempt(0, recorded=START + recorded)],
            faults=faults,
        )
        return [round(seconds, 3) for seconds in recoveries(evidence)]

    def test_it_is_the_part_of_the_wait_in_which_no_fault_was_on(self) -> None:
        assert self.waits(fault(Kind.KILL_DATABASE, 1, 3), recorded=6) == [3]

    def test_faults_that_overlap_count_once(self) -> None:
        faults = [fault(Kind.KILL_DATABASE, 1, 3), fault(Kind.KILL_WORKER, 2, 1), fault(Kind.KILL_API, 3, 2)]

        assert self.waits(*faults, recorded=6) == [2]

    def test_an_attempt_that_no_fault_touched_is_not_counted(self) -> None:
        assert self.waits(fault(Kind.KILL_DATABASE, 5), recorded=2) == []
        assert self.waits(fault(Kind.KILL_BEAT, 1), recorded=2) == []

    def test_the_percentile_of_a_hundred_is_the_last_but_one_or_higher(self) -> None:
        assert percentile([float(n) for n in range(100)], 0.99) == 99
        assert percentile([], 0.99) == 0
