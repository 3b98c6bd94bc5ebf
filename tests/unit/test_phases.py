"""One clock per request: a phase ends where the next one begins."""

import pytest

from delivery import phases
from delivery.phases import CONNECT, DNS, TLS, PhaseClock, Phases


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The clock's moments in microseconds, in order."""
    moments: list[int] = []
    monkeypatch.setattr(phases, "monotonic_ns", lambda: moments.pop(0) * 1000)
    return moments


def answered(clock: PhaseClock, sent: int, answered: int) -> None:
    clock.sent_at, clock.answered_at = sent * 1000, answered * 1000


def test_phases_follow_each_other(time: list[int]) -> None:
    time += [1_000, 1_500, 1_750, 3_250]
    clock = PhaseClock()
    for phase in (DNS, CONNECT, TLS):
        clock.begin(phase)
    answered(clock, 2_000, 3_000)

    assert clock.phases() == Phases(500, 250, 250, 1_000, 250)


def test_a_kept_connection_has_neither_look_up_nor_connecting(time: list[int]) -> None:
    time += [150_000]
    clock = PhaseClock()
    answered(clock, 100_000, 125_000)

    found = clock.phases()

    assert found == Phases(None, None, None, 25_000, 25_000)
    assert str(found) == "wait:25.0,read:25.0"
    assert found is not None
    assert found.as_array() == "{NULL,NULL,NULL,25000,25000}"


def test_addresses_that_are_tried_one_after_the_other_are_one_phase(time: list[int]) -> None:
    time += [1_000, 1_500, 2_000]
    clock = PhaseClock()
    clock.begin(CONNECT)
    clock.begin(CONNECT)

    assert clock.phases() == Phases(None, 1_000, None, None, None)


def test_what_lies_between_two_phases_is_neither(time: list[int]) -> None:
    time += [1_000, 1_500, 9_500]
    clock = PhaseClock()
    clock.begin(DNS)
    clock.end()
    answered(clock, 9_000, 0)

    assert clock.phases() == Phases(500, None, None, 500, None)


def test_what_there_was_not_is_forgotten(time: list[int]) -> None:
    time += [1_000, 1_500, 1_600, 2_000]
    clock = PhaseClock()
    clock.begin(CONNECT)
    clock.begin(TLS)
    clock.end()
    clock.forget(TLS)

    assert clock.phases() == Phases(None, 500, None, None, None)


def test_where_nothing_began_there_is_nothing() -> None:
    assert PhaseClock().phases() is None
