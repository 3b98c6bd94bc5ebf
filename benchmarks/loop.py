"""A yardstick: a bare loop of `requests.Session().post`, `python -m benchmarks.loop URL COUNT THREADS NAME`.

Sends COUNT requests from THREADS threads once a line comes on standard input, and prints when it began
and ended, its CPU time and, in milliseconds, what one request took in the middle.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import requests

BODY = json.dumps({"type": "bench.event", "data": {"text": "x" * 900}}).encode()


def send(url: str, name: str, count: int) -> list[float]:
    """Seconds of each request."""
    took = []
    with requests.Session() as session:
        for number in range(count):
            headers = {"Content-Type": "application/json", "webhook-id": f"{name}-{number}"}
            began = time.perf_counter()
            answer = session.post(url, data=BODY, headers=headers, timeout=10)
            took.append(time.perf_counter() - began)
            answer.raise_for_status()
    return took


def main() -> None:
    url, count, threads, name = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu_before = time.monotonic(), time.process_time()
    shares = [len(range(thread, count, threads)) for thread in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        took = list(pool.map(lambda n: send(url, f"{name}-{n}", shares[n]), range(threads)))
    figures = {
        "began": began,
        "ended": time.monotonic(),
        "cpu_seconds": time.process_time() - cpu_before,
        "request_ms": 1000 * median(second for seconds in took for second in seconds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
