"""`make bench`: custom events to one subscription, and to ten; deliveries per second and CPU per delivery.

The whole service (API, worker, PostgreSQL with stock fsync, Valkey), the sink and this driver share
the machine. Figures of one run are only comparable with figures of the same machine and hour.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.request import urlopen

import psutil

from local.stack import Stack, StackConfig
from local.temporary import folder

CONNECTIONS = 8
EVENTS = {1: 1000, 10: 200}
DATA = {"text": "x" * 900}
GIVE_UP_SECONDS = 120


def main() -> None:
    with folder() as data, Stack(StackConfig(data_dir=data)) as stack, sink() as port:
        key = stack.manage("create_api_key", "--organization", "bench", "--scopes", "all").strip()
        print(f"{'scenario':<10}{'deliveries/s':>14}{'CPU ms per delivery':>21}   of which")
        for fan_out, events in EVENTS.items():
            ids = [subscribe(stack.port, key, port, n) for n in range(fan_out)]
            measure(stack, key, port, fan_out, events)
            for id_ in ids:
                call(stack.port, key, "DELETE", f"/v1/webhooks/{id_}")


def measure(stack: Stack, key: str, port: int, fan_out: int, events: int) -> None:
    """Report the events as fast as the API takes them, wait for the last one at the sink, print a row."""
    report_many(stack.port, key, 20)
    wait_for(port, 0, settle=True)
    before, started = cpu_seconds(stack), time.perf_counter()
    base = seen(port)
    report_many(stack.port, key, events)
    wanted = events * fan_out
    wait_for(port, base["requests"] + wanted)
    elapsed = time.perf_counter() - started
    used = {name: seconds - before[name] for name, seconds in cpu_seconds(stack).items()}
    each = {name: 1000 * seconds / wanted for name, seconds in used.items()}
    parts = ", ".join(f"{name} {ms:.2f}" for name, ms in each.items())
    print(f"1 → {fan_out:<6}{wanted / elapsed:>14.0f}{sum(each.values()):>21.2f}   {parts}", flush=True)


def report_many(api: int, key: str, events: int) -> None:
    def some(count: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", api, timeout=30)
        body = json.dumps({"event_type": "bench.event", "data": DATA})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        for _ in range(count):
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            assert answer.status == 202, answer.read()
            answer.read()

    shares = [len(range(n, events, CONNECTIONS)) for n in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(some, shares))


def cpu_seconds(stack: Stack) -> dict[str, float]:
    """User and system time by part, children included."""
    parts = {"api": 0.0, "worker": 0.0, "postgres": 0.0, "valkey": 0.0}
    for name, service in stack.processes.items():
        part = name.split("-")[0]
        if part in parts:
            process = psutil.Process(service.pid)
            for one in (process, *process.children(recursive=True)):
                times = one.cpu_times()
                parts[part] += times.user + times.system
    return parts


def seen(port: int) -> dict[str, int]:
    counts: dict[str, int] = json.load(urlopen(f"http://127.0.0.1:{port}/"))
    return counts


def wait_for(port: int, requests: int, *, settle: bool = False) -> None:
    """Until the sink has seen so many; with `settle` until nothing comes any more."""
    ends = time.monotonic() + GIVE_UP_SECONDS
    last = -1
    while (now := seen(port)["requests"]) < requests or (settle and now != last):
        assert time.monotonic() < ends, f"the sink has seen {now} of {requests} requests"
        last = now
        time.sleep(0.5 if settle else 0.02)


def subscribe(api: int, key: str, port: int, number: int) -> int:
    hook = {"name": f"sink {number}", "url": f"http://127.0.0.1:{port}/{number}", "events": ["*"]}
    return int(json.loads(call(api, key, "POST", "/v1/webhooks", json.dumps(hook)))["id"])


def call(api: int, key: str, method: str, path: str, body: str | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", api, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    assert answer.status < 300, answer.status
    return answer.read()


@contextmanager
def sink() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    main()
