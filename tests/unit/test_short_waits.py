"""How many retries may wait inside Celery."""

from concurrent.futures import ThreadPoolExecutor

from delivery.short_waits import ShortWaits


def test_short_waits_are_taken_up_to_the_bound() -> None:
    short_waits = ShortWaits(longest_seconds=60, most=2)

    assert [short_waits.take(5, now=0) for _ in range(4)] == [True, True, False, False]


def test_a_longer_wait_is_never_taken_and_uses_no_place() -> None:
    short_waits = ShortWaits(longest_seconds=60, most=1)

    assert not short_waits.take(60.001, now=0)
    assert short_waits.take(60, now=0)


def test_a_place_is_free_again_when_its_wait_is_over() -> None:
    short_waits = ShortWaits(longest_seconds=60, most=2)
    short_waits.take(10, now=0)
    short_waits.take(30, now=0)

    assert not short_waits.take(5, now=9.9)
    assert short_waits.take(5, now=10)
    assert not short_waits.take(5, now=14.9)
    assert short_waits.take(5, now=15)


def test_with_no_places_everything_becomes_a_row() -> None:
    assert not ShortWaits(longest_seconds=60, most=0).take(1, now=0)


def test_threads_together_take_no_more_than_the_bound() -> None:
    short_waits = ShortWaits(longest_seconds=60, most=100)

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: short_waits.take(5, now=0), range(1000)))

    assert sum(taken) == 100
