"""The rate of a subscription: places one after the other, and moments to come back at."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from subscriptions.paces import OwnPaces, Paces, Wish
from tests.brokers import Broker
from tests.factories import at_once
from tests.integration.test_sender import closed_port

SECOND = 1_000_000
# A clock of the test's own. Keys end by the store's: so rates are slow here, and no key ends meanwhile.
NOW = 1_000_000 * SECOND
SLOW = Wish(subscription_id=1, per_second=0.1, longest_wait_seconds=0, is_back=False)
BACK = replace(SLOW, longest_wait_seconds=15, is_back=True)


@pytest.fixture
def processes(server: Broker) -> tuple[Paces, Paces]:
    prefix = f"test-{random.random()}:"
    return Paces(server.url, prefix, 0.5), Paces(server.url, prefix, 0.5)


def seconds(answers: Sequence[int]) -> list[float]:
    return [answer / SECOND for answer in answers]


def test_one_goes_and_a_backlog_comes_back_one_interval_after_the_other(
    processes: tuple[Paces, Paces],
) -> None:
    one, other = processes

    first = seconds(one.reserve([SLOW] * 3, NOW))
    then = seconds(other.reserve([SLOW] * 2, NOW))

    assert (first, then) == ([0, -10, -20], [-30, -40])


def test_what_comes_back_has_the_place_that_was_kept_for_it(processes: tuple[Paces, Paces]) -> None:
    paces = processes[0]
    paces.reserve([SLOW] * 4, NOW)

    # A little late, and two at once.
    assert seconds(paces.reserve([BACK, BACK], NOW + 21 * SECOND)) == [0, 10]
    assert seconds(paces.reserve([BACK], NOW + 32 * SECOND)) == [9]


def test_what_is_new_does_not_overtake_those_who_are_to_come_back(processes: tuple[Paces, Paces]) -> None:
    paces = processes[0]
    paces.reserve([SLOW] * 4, NOW)

    # The place is free at this moment, but is not for this one.
    assert seconds(paces.reserve([SLOW], NOW + 10 * SECOND)) == [-30]


def test_replays_come_back_after_all_others_and_do_not_delay_them(processes: tuple[Paces, Paces]) -> None:
    paces, replayed = processes[0], replace(SLOW, is_replay=True)
    paces.reserve([SLOW] * 3, NOW)

    assert seconds(paces.reserve([replayed] * 2, NOW)) == [-30, -40]
    assert seconds(paces.reserve([SLOW], NOW)) == [-30]


def test_a_tenth_of_a_second_s_requests_may_go_together(processes: tuple[Paces, Paces]) -> None:
    fast = replace(SLOW, per_second=50)

    answers = processes[0].reserve([fast] * 7, NOW)

    assert seconds(answers) == [0] * 5 + [-0.02, -0.04]


def test_a_changed_rate_begins_anew(processes: tuple[Paces, Paces]) -> None:
    paces = processes[0]
    paces.reserve([SLOW] * 50, NOW)

    assert seconds(paces.reserve([replace(SLOW, per_second=0.2)] * 2, NOW)) == [0, -5]


def test_processes_share_the_places(processes: tuple[Paces, Paces]) -> None:
    def half(paces: Paces) -> list[int]:
        return [answer for _ in range(20) for answer in paces.reserve([SLOW] * 2, NOW)]

    mine, yours = at_once(lambda: half(processes[0]), lambda: half(processes[1]))

    assert sorted(seconds([*mine, *yours])) == [-10.0 * place for place in reversed(range(80))]


def test_while_the_store_is_away_each_process_keeps_the_rate_for_itself() -> None:
    url = f"redis://127.0.0.1:{closed_port()}/0"

    for paces in (Paces(url, "test:", 0.1), Paces(url, "test:", 0.1)):
        assert seconds(paces.reserve([SLOW] * 3, NOW)) == [0, -10, -20]


def test_a_process_of_its_own_answers_as_the_store_does(processes: tuple[Paces, Paces]) -> None:
    dice, own, now = random.Random(7), OwnPaces(), NOW

    for _ in range(500):
        now += dice.choice([0, 0, 1, 1000, 7 * SECOND, 60 * SECOND, 400 * SECOND])
        wishes = [
            Wish(
                subscription_id=dice.randint(1, 3),
                per_second=dice.choice([0.1, 0.013]),
                longest_wait_seconds=dice.choice([0, 5, 15, 1e9]),
                is_back=dice.random() < 0.5,
                is_replay=dice.random() < 0.3,
            )
            for _ in range(dice.randint(1, 5))
        ]
        assert own.reserve(wishes, now) == processes[0].reserve(wishes, now)


def test_places_that_nobody_asks_for_are_no_keys(server: Broker) -> None:
    paces = Paces(server.url, f"test-{random.random()}:", 0.5)
    paces.reserve([replace(SLOW, per_second=1000)] * 300)

    ends = time.monotonic() + 10
    while (left := paces._client.keys(f"{paces._prefix}*")) and time.monotonic() < ends:
        time.sleep(0.001)

    assert left == []
