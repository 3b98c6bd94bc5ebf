"""The API's processes as production runs them: told to stop with calls in flight, and killed."""

import http.client
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from local.service import Service
from local.stack import Stack
from tests.chaos.breaker import paused
from tests.e2e.conftest import METRICS_TOKEN, Api, eventually
from tests.served import refuses

CALLS = 20


@pytest.fixture
def server(stack: Stack, api: Api) -> Iterator[Service]:
    """The API, which runs again after the test."""
    yield stack.processes["api"]
    if not stack.processes["api"].running:
        stack.restart("api")


def report(api: Api, query: str = "") -> requests.Response:
    """Report an event on a connection of its own."""
    body = {"event_type": "e2e.stopping", "data": {}}
    headers = {"Authorization": api.authorization}
    return requests.post(f"{api.stack.base_url}/v1/events{query}", json=body, headers=headers, timeout=30)


def test_calls_in_flight_are_answered_before_it_ends_though_other_connections_idle(
    api: Api, stack: Stack, server: Service
) -> None:
    report(api)  # so that the key is known

    with ExitStack() as open_, ThreadPoolExecutor(2 * CALLS) as pool:
        for _ in range(50):
            open_.enter_context(closing(idle(stack)))
        stalled = socket.create_connection(("127.0.0.1", stack.port))
        open_.enter_context(closing(stalled))
        stalled.sendall(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        with paused(stack.processes["postgres"]):
            # Half of them on the event loop, half in threads.
            calls = [pool.submit(report, api, query) for query in ("", "?a=1") * CALLS]
            eventually(lambda: accepted(stack) >= 51 + 2 * CALLS, 10, "all have called")
            server.send(signal.SIGTERM)
            eventually(lambda: refuses(stack.port), 5, "it takes no more calls")
        stopping = time.monotonic()
        statuses = [call.result().status_code for call in calls]
        # A client that never sends the rest of its body is what it waits for to the last.
        eventually(lambda: not server.running, 12, "it ends")

    assert statuses == [202] * (2 * CALLS)
    assert time.monotonic() - stopping < 10


def test_idle_connections_do_not_keep_it_from_ending(stack: Stack, server: Service) -> None:
    with ExitStack() as open_:
        for _ in range(50):
            open_.enter_context(closing(idle(stack)))
        server.send(signal.SIGTERM)
        eventually(lambda: not server.running, 6, "it ends, long before its last moment")


def test_a_process_that_is_killed_is_replaced(api: Api, stack: Stack, server: Service) -> None:
    killed = psutil.Process(server.pid).children()
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)

    eventually(lambda: set(psutil.Process(server.pid).children()) - set(killed), 10, "there is another one")
    assert report(api).status_code == 202


def test_any_process_tells_of_the_requests_of_all_also_of_those_that_ended(
    api: Api, stack: Stack, server: Service
) -> None:
    before = answered(stack, "/v1/events", "2xx")
    server.send(signal.SIGTTIN)  # gunicorn starts one more
    processes = psutil.Process(server.pid).children
    eventually(lambda: len(processes()) == 2, 10, "there are two")

    assert {report(api).status_code for _ in range(CALLS)} == {202}
    assert requests.get(f"{stack.base_url}/v1/nothing-{CALLS}", timeout=10).status_code == 404

    assert {answered(stack, "/v1/events", "2xx") for _ in range(10)} == {before + CALLS}
    os.kill(processes()[0].pid, signal.SIGKILL)
    server.send(signal.SIGTTOU)
    eventually(lambda: len(processes()) == 1, 10, "there is one again")
    assert answered(stack, "/v1/events", "2xx") == before + CALLS
    assert answered(stack, "other", "4xx") >= 1


def answered(stack: Stack, route: str, status: str) -> float:
    """How many requests /metrics says were answered so."""
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    page = requests.get(f"{stack.base_url}/metrics", headers=headers, timeout=10)
    return sum(
        sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
        if sample.name == "runhooks_api_request_seconds_count"
        and (sample.labels["route"], sample.labels["status"]) == (route, status)
    )


def idle(stack: Stack) -> http.client.HTTPConnection:
    """A connection that is kept open after its first answer."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read()
    return connection


def accepted(stack: Stack) -> int:
    """How many connections the API's processes have accepted."""
    return sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.laddr.port == stack.port
        for process in psutil.Process(stack.processes["api"].pid).children()
        for connection in process.net_connections("tcp")
    )
