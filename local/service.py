"""One child process: how it starts, when it counts as ready, how it stops, where it logs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.account import Account, identity
from local.errors import StartFailed
from local.orphans import Record, remove_record, write_record

LOG_MAX_BYTES = 10 * 1024 * 1024
LOG_TAIL_LINES = 25
POLL_SECONDS = 0.03
HURRIED_STOP_SECONDS = 2.0


def inherited_environment() -> dict[str, str]:
    """Our own environment for a child, without the defaults of PostgreSQL clients (PGHOST and the like)."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


class Interrupts:
    """How often a person has asked us to stop: once is a wish, twice is haste."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def stop(self) -> bool:
        return self.count > 0

    @property
    def hurry(self) -> bool:
        return self.count > 1


@dataclass(kw_only=True)
class Service:
    """A server process of its own session, so that Ctrl-C in the terminal reaches only its parent."""

    name: str
    folder: Path
    """The data folder: the log goes to `logs/`, the record of the process to `run/`."""
    command: Sequence[str]
    mark: str
    """A part of the command line that names the data folder (see `orphans.Record`)."""
    env: Mapping[str, str]
    cwd: Path
    ready: Callable[["Service"], bool]
    """Asked again and again after a start, until it is true."""
    account: Account | None = None
    ready_seconds: float = 60.0
    starts: int = 1
    """How often a start is tried when the process ends before it is ready."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    wave: int = 0
    """When it is stopped: lower waves first."""
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The process id; only of a service that was started."""
        if self.process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process; `wait_until_ready` tells when it can be used."""
        self.log.parent.mkdir(mode=0o700, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with open(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            self._log_start = log.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **identity(self.account),
            )
        record = Record(pid=self.process.pid, owner=os.getpid(), stop_signal=self.stop_signal, mark=self.mark)
        write_record(self.folder, self.name, record)

    def wait_until_ready(self, interrupts: Interrupts) -> None:
        """Return when the service is ready; raise `StartFailed` with the end of its log if it fails."""
        deadline = time.monotonic() + self.ready_seconds
        starts_left = self.starts - 1
        while not interrupts.stop:
            if self.running and self.ready(self):
                return
            if not self.running and starts_left == 0:
                raise StartFailed(f"{self.name} {self.ending()} before it was ready{self.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} was not ready in {self.ready_seconds:.0f} s{self.tail()}")
            if not self.running:
                starts_left -= 1
                time.sleep(10 * POLL_SECONDS)
                self.start()
            time.sleep(POLL_SECONDS)
        raise StartFailed("stopped while starting")

    def output(self) -> str:
        """What it has written since its last start."""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        """The end of that, introduced by the log's name, for an error message."""
        lines = self.output().rstrip().splitlines()[-LOG_TAIL_LINES:]
        return f"; the end of {self.log}:\n" + "\n".join(f"    {line}" for line in lines)

    def ending(self) -> str:
        """How the process ended, in words."""
        code = self.process.returncode if self.process else 0
        return f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """End the process and what it started at once, as a crash would."""
        if self.process is not None and self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        remove_record(self.folder, self.name)

    def ask_to_stop(self) -> None:
        if self.running:
            self.send(self.stop_signal)

    def finish(self, interrupts: Interrupts) -> None:
        """Wait for a process that was asked to stop; kill it after its time, or soon when in a hurry."""
        begin = time.monotonic()
        while self.running:
            patience = HURRIED_STOP_SECONDS if interrupts.hurry else self.stop_seconds
            if time.monotonic() - begin > patience:
                break
            time.sleep(POLL_SECONDS)
        self.kill()
