"""Look-ups of many organizations at once: names that hang hold up those of their own organization only."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from delivery.sender import Answer, NoAnswer
from delivery.sender.lookups import LOOKUPS_MAX
from delivery.states import ErrorClass
from subscriptions.rules import target_rule
from tests.integration.test_sender import keep_alive, post, serving
from tests.on_loop import BOTH, AnyTransport

LOOKUP_SECONDS = 3.0
# Beyond the places of one organization, and beyond what a pool of as many threads as places would hold.
HANGING = LOOKUPS_MAX + 44


@pytest.fixture(params=BOTH)
def transport(request: pytest.FixtureRequest) -> Iterator[AnyTransport]:
    running = request.param(
        rule=target_rule(),
        connections_per_receiver=8,
        body_max_characters=2048,
        dns_timeout_seconds=LOOKUP_SECONDS,
        lookups_per_organization=8,
    )
    yield running
    running.close()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Names below `.hanging.example` are looked up until the test is over; how many were."""
    over, asked, real = threading.Event(), [], socket.getaddrinfo

    def getaddrinfo(host: str, *args: Any, **values: Any) -> Any:
        if host.endswith(".hanging.example"):
            asked.append(host)
            over.wait(60)
            return []
        return real("127.0.0.1" if host.endswith(".example") else host, *args, **values)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield lambda: len(asked)
    over.set()


def test_names_that_hang_leave_those_of_another_organization_quick(
    transport: AnyTransport, hanging: Callable[[], int]
) -> None:
    with serving(keep_alive) as server, ThreadPoolExecutor(HANGING) as pool:
        waiting = [pool.submit(post, transport, f"http://{n}.hanging.example/") for n in range(HANGING)]
        while hanging() < 8 or any(not future.running() for future in waiting):
            time.sleep(0.01)
        began = time.monotonic()
        others = post(transport, f"http://hooks.example:{server.port}/", organization_id=2)
        took = time.monotonic() - began
        assert not any(future.done() for future in waiting), "nothing hung beside it any more"
        results = [future.result() for future in waiting]

    assert isinstance(others, Answer), others
    assert took < LOOKUP_SECONDS / 3
    assert hanging() == 8
    classes = [result.error_class for result in results if isinstance(result, NoAnswer)]
    assert sorted(classes) == [ErrorClass.LOOKUP_LIMIT] * (HANGING - 8) + [ErrorClass.TIMEOUT] * 8
