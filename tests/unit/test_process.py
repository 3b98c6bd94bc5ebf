"""What a process has one of, in threads and in forked children."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import pytest

from webhooks_project.process import OfProcess

THREADS = 8
FORKS = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def in_a_child(holds: Callable[[], bool]) -> bool:
    child = os.fork()
    if not child:
        signal.alarm(10)  # a child that waits for ever is no answer
        os._exit(0 if holds() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_all_threads_have_the_same() -> None:
    made: list[object] = []
    together = Barrier(THREADS)

    def make() -> object:
        made.append(object())
        return made[-1]

    def ask(_: int) -> object:
        together.wait()
        return own()

    own = OfProcess(make)
    with ThreadPoolExecutor(THREADS) as threads:
        found = set(map(id, threads.map(ask, range(THREADS))))

    assert found == {id(made[0])}
    assert len(made) == 1


def test_nothing_is_made_for_whoever_only_ends_it() -> None:
    own = OfProcess(object)

    assert own.if_made() is None
    assert own() is own.if_made()


@FORKS
def test_a_forked_child_has_its_own_and_its_parent_keeps_the_first() -> None:
    own = OfProcess(object)
    first = own()

    assert in_a_child(lambda: own.if_made() is None and own() is not first and own() is own())
    assert own() is first


@FORKS
def test_a_child_that_was_forked_while_another_thread_made_it_does_not_wait_for_that_thread() -> None:
    making, go_on = Event(), Event()
    parent = os.getpid()

    def make() -> int:
        if os.getpid() == parent:
            making.set()
            go_on.wait(60)
        return os.getpid()

    own = OfProcess(make)
    slow = Thread(target=own)
    slow.start()
    making.wait(60)

    assert in_a_child(lambda: own() == os.getpid())

    go_on.set()
    slow.join()
    assert own() == parent
