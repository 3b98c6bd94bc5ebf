"""Looks after the services of one data folder: claims the folder, restarts what dies, stops in order."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Self

from local.files import lock, make_data_folder
from local.orphans import end_orphans, start_watchdog
from local.service import Interrupts, Service

PAUSE_FIRST_SECONDS = 1.0
PAUSE_LONGEST_SECONDS = 30.0
# A service that ran this long starts again with the shortest pause.
STEADY_SECONDS = 60.0
WATCH_SECONDS = 0.2


def say(line: str) -> None:
    """Print a line at once. A closed terminal or pipe is no reason to leave servers behind."""
    with suppress(OSError):
        print(line, flush=True)


def claim(folder: Path) -> TextIOWrapper:
    """Lock the data folder, made if missing, and end what an earlier start has left running on it."""
    make_data_folder(folder)
    held = lock(folder)
    for name in end_orphans(folder):
        say(f"ended {name}, which an earlier start had left running")
    return held


@dataclass
class Outage:
    """What is known of a service that died: the pause before its next start, and when that is."""

    pause_seconds: float = 0.0
    ended_at: float = 0.0
    start_at: float | None = None


class Supervisor:
    """Owns a data folder and its services from `with` to the end of the block."""

    def __init__(self, folder: Path, interrupts: Interrupts | None = None) -> None:
        self.folder = folder
        self.interrupts = interrupts or Interrupts()
        self.services: dict[str, Service] = {}
        self._outages: dict[str, Outage] = {}

    def __enter__(self) -> Self:
        self._lock = claim(self.folder)
        self._watchdog = start_watchdog(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._watchdog.communicate()
        self._lock.close()

    def start(self, service: Service) -> None:
        """Start a service and look after it from now on."""
        self.services[service.name] = service
        service.start()

    def wait(self, *names: str) -> None:
        """Wait until these services are ready, or all of them if none is named."""
        for name in names or tuple(self.services):
            self.services[name].wait_until_ready(self.interrupts)

    def stop(self) -> None:
        """Stop everything, one wave after the other: who uses a server goes before the server."""
        for wave in sorted({service.wave for service in self.services.values()}):
            members = [service for service in self.services.values() if service.wave == wave]
            for service in members:
                service.ask_to_stop()
            for service in members:
                service.finish(self.interrupts)

    def watch(self, is_over: Callable[[], bool]) -> None:
        """Start again what dies, after a pause that grows while it keeps dying."""
        while not is_over():
            for service in self.services.values():
                self._look_after(service)
            time.sleep(WATCH_SECONDS)

    def _look_after(self, service: Service) -> None:
        if service.running:
            return
        now = time.monotonic()
        outage = self._outages.setdefault(service.name, Outage())
        if outage.start_at is None:
            steady = now - outage.ended_at > STEADY_SECONDS
            longer = min(2 * outage.pause_seconds, PAUSE_LONGEST_SECONDS)
            outage.pause_seconds = PAUSE_FIRST_SECONDS if steady else max(longer, PAUSE_FIRST_SECONDS)
            outage.ended_at, outage.start_at = now, now + outage.pause_seconds
            pause = f"{outage.pause_seconds:.0f} s"
            say(f"{service.name} {service.ending()}, next start in {pause} (see {service.log})")
        elif now >= outage.start_at:
            outage.start_at = None
            service.start()
            say(f"{service.name} was started again")
