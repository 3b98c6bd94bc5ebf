"""The sink and the driver as seen from the benchmark: processes of their own, started and ended here."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.ledger import Arrival
from benchmarks.sink import RECEIVERS
from local.files import CHECKOUT

START_SECONDS = 30.0
# Arrivals carry their times, so looking more often would only cost.
POLL_SECONDS = 0.2
Call = tuple[str, str, str]
"""Method, path and body."""


class Sink:
    """The running receiver."""

    def __init__(self, process: "subprocess.Popen[str]", ports: Sequence[int]) -> None:
        self.pid = process.pid
        self.port = ports[0]
        self._ports = ports[:RECEIVERS]
        self.tls_port = ports[RECEIVERS] if len(ports) > RECEIVERS else None

    def url(self, path: str, receiver: int = 0) -> str:
        """To the sink as one of several receivers, each with a port of its own."""
        return f"http://127.0.0.1:{self._ports[receiver % RECEIVERS]}{path}"

    def tls_url(self, path: str) -> str:
        return f"https://localhost:{self.tls_port}{path}"

    def reset(self) -> None:
        self._ask("DELETE", "/")

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self._ask("GET", "/stats")
        return stats

    def dump(self) -> list[Arrival]:
        return [(path, id_, at) for path, id_, at in self._ask("GET", "/dump")]

    def wait_for(self, count: int, kinds: Sequence[str], *, patience: float, limit: float) -> None:
        """Until so many requests of these kinds came, or nothing more came for `patience` seconds."""
        ends = time.monotonic() + limit
        last, last_at = -1, time.monotonic()
        while time.monotonic() < ends:
            by_kind = self.stats()["by_kind"]
            now = sum(by_kind.get(kind, 0) for kind in kinds)
            if now >= count:
                return
            if now != last:
                last, last_at = now, time.monotonic()
            elif time.monotonic() - last_at > patience:
                return
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def sink(certificate: Path | None = None) -> Iterator[Sink]:
    """A receiver from here to the end of the block."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    if certificate:
        command += ["--certificate", str(certificate)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)  # noqa: S603 - our own
    try:
        assert process.stdout is not None
        yield Sink(process, json.loads(process.stdout.readline()))
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@dataclass(frozen=True, kw_only=True)
class Played:
    """What the driver saw. Times are the machine's monotonic clock."""

    calls: list[tuple[int, float, float, int]]
    """Story, sent, answered and status of each call."""
    ids: list[tuple[int, str, float]]
    """Story, event id and the time when its call was sent, of what the API accepted."""
    refused: str
    cpu_seconds: float

    def from_story(self, number: int) -> "Played":
        """Without the calls of stories before this one; what they brought about stays."""
        return replace(self, calls=[call for call in self.calls if call[0] >= number])

    @property
    def began(self) -> float:
        return min((sent for _, sent, _, _ in self.calls), default=0.0)

    @property
    def ended(self) -> float:
        return max((answered for _, _, answered, _ in self.calls), default=0.0)


def play(
    port: int,
    headers: Mapping[str, str],
    stories: Sequence[Sequence[Call]],
    count: int,
    *,
    connections: int = 32,
    rate: float | None = None,
    limit_seconds: float = 240.0,
) -> Played:
    """Let the driver tell `count` stories to an API; see `benchmarks.driver`."""
    job = {
        "port": port,
        "headers": dict(headers),
        "stories": [list(story) for story in stories],
        "count": count,
        "connections": min(connections, count) if rate is None else connections,
        "rate": rate,
        "limit_seconds": limit_seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.driver"],
        input=json.dumps(job),
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        timeout=limit_seconds + START_SECONDS,
        check=True,
    )
    return Played(**json.loads(done.stdout))
