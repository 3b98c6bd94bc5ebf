"""What the chaos suite does is a pure function of its seed."""

from itertools import pairwise

from tests.chaos.faults import GAPS, schedule
from tests.chaos.records import KINDS_OF, Kind, Lane
from tests.chaos.target import Mood, mood_at


def test_the_same_seed_plans_the_same_faults_and_another_seed_others() -> None:
    assert schedule(7, 300, 2) == schedule(7, 300, 2)
    assert schedule(7, 300, 2) != schedule(8, 300, 2)


def test_five_minutes_hold_every_kind_of_fault_several_times() -> None:
    for seed in range(20):
        kinds = [fault.kind for fault in schedule(seed, 300, 2)]

        assert all(kinds.count(kind) >= 3 for kind in Kind if kind is not Kind.DIED)


def test_faults_of_a_lane_keep_their_distance_and_end_in_time() -> None:
    planned = schedule(7, 300, 2)

    for lane in Lane:
        moments = [fault.at for fault in planned if fault.lane is lane]
        assert all(later - earlier >= GAPS[lane][0] for earlier, later in pairwise(moments))
        assert moments[-1] < 300
        assert {fault.kind for fault in planned if fault.lane is lane} == set(KINDS_OF[lane])


def test_targets_exist() -> None:
    targets = {fault.target for seed in range(20) for fault in schedule(seed, 300, 2)}

    assert targets == {"worker-1", "worker-2", "workers", "api", "beat", "valkey", "postgres"}


def test_moods_change_and_repeat_with_the_seed() -> None:
    moods = [mood_at(7, "/few/0", second) for second in range(300)]

    assert set(moods) == set(Mood) - {Mood.GONE}
    assert moods == [mood_at(7, "/few/0", second) for second in range(300)]
    assert moods != [mood_at(7, "/few/1", second) for second in range(300)]


def test_some_paths_never_change() -> None:
    assert {mood_at(7, "/never/0", second) for second in range(99)} == {Mood.FAILING}
    assert {mood_at(7, "/steady/0", second) for second in range(99)} == {Mood.HEALTHY}
