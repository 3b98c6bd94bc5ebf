"""Ends servers whose parent is gone.

Every server leaves a record in `run/` in the data folder while it runs. A watchdog process waits for
the death of the process that started them, for nobody can catch SIGKILL; and whoever starts on the
same data folder next looks once more, in case the watchdog was killed as well.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from local.files import CHECKOUT, write_private

GRACE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Record:
    """A running server: its process, who started it, how to stop it."""

    pid: int
    owner: int
    stop_signal: int
    mark: str
    """Part of its command line: tells it from a stranger that was given the same pid later."""

    def is_running(self) -> bool:
        return self.mark in command_line(self.pid)

    def send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def command_line(pid: int) -> str:
    """The arguments of a process joined by blanks; empty if there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def write_record(folder: Path, name: str, record: Record) -> None:
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    write_private(folder / "run" / f"{name}.json", json.dumps(asdict(record)))


def remove_record(folder: Path, name: str) -> None:
    (folder / "run" / f"{name}.json").unlink(missing_ok=True)


def end_orphans(folder: Path, owner: int | None = None) -> list[str]:
    """End the recorded servers (only those of `owner`, if given) and return their names.

    The caller makes sure that nobody looks after them any more.
    """
    found: dict[Path, Record] = {}
    for path in sorted((folder / "run").glob("*.json")):
        with suppress(FileNotFoundError):
            record = Record(**json.loads(path.read_text(encoding="utf-8")))
            if owner in (None, record.owner):
                found[path] = record
    running = {path: record for path, record in found.items() if record.is_running()}
    for record in running.values():
        record.send(record.stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(record.is_running() for record in running.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for record in running.values():
        if record.is_running():
            record.send(signal.SIGKILL)
    for path in found:
        path.unlink(missing_ok=True)
    return [path.stem for path in running]


def start_watchdog(folder: Path) -> "subprocess.Popen[bytes]":
    """Start the watchdog. It acts when its standard input ends: closed by us, or by our death."""
    command = [sys.executable, "-m", "local.orphans", str(folder), str(os.getpid())]
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main() -> None:
    """Wait for the end of standard input, then end what is left."""
    folder, owner = Path(sys.argv[1]), int(sys.argv[2])
    sys.stdin.buffer.read()
    end_orphans(folder, owner)
    # `manage.py` must not look for servers that are gone.
    (folder / "local.env").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
