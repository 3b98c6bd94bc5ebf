"""`make serve` as a person meets it: start, use, stop, start again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from local import temporary
from local.files import CHECKOUT
from local.ports import free_port


@contextmanager
def serving(folder: Path, port: int, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`python -m local.serve`, with all that it printed until it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.serve"],
        cwd=CHECKOUT,
        env={**os.environ, "DATA_DIR": str(folder), "PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        for line in process.stdout:
            printed.append(line.rstrip())
            if line.startswith("ready:"):
                break
        yield process, printed
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def stop(process: subprocess.Popen[str], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(60)


def manage(folder: Path, *arguments: str) -> str:
    """`manage.py` in another terminal: it knows nothing but where the data is."""
    unset = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ENCRYPTION_KEYS", "RUNHOOKS_MODE")
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=CHECKOUT,
        env={**environment, "DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_second_start_finds_its_data_and_a_signal_stops_everything() -> None:
    with temporary.folder() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"

        with serving(folder, port) as (process, printed):
            assert printed[-1] == f"ready: {url}"
            assert any("local mode" in line for line in printed)
            key = manage(folder, "create_api_key", "--organization", "demo")
            auth = {"Authorization": f"Bearer {key}"}
            made = requests.post(f"{url}/v1/workflows", json={"name": "Kept"}, headers=auth, timeout=10)
            assert made.status_code == 201
            assert stop(process, signal.SIGTERM) == 0

        with serving(folder, port) as (process, again):
            assert [line for line in again if "API key" in line] == [
                line for line in printed if "API key" in line
            ]
            found = requests.get(f"{url}/v1/workflows", headers=auth, timeout=10).json()
            assert [workflow["name"] for workflow in found["workflows"]] == ["Kept"]
            assert stop(process, signal.SIGINT) == 0

        assert list((folder / "run").iterdir()) == []
        assert not (folder / "local.env").exists()


def test_servers_of_ones_own_are_used_instead_of_those_from_the_wheels() -> None:
    with temporary.folder() as folder, temporary.postgres() as database, temporary.valkey() as broker:
        port = free_port()

        with serving(folder, port, DATABASE_URL=database, BROKER_URL=broker) as (process, printed):
            assert printed[-1] == f"ready: http://127.0.0.1:{port}"
            services = {path.stem for path in (folder / "logs").iterdir()}
            assert stop(process, signal.SIGTERM) == 0

        assert services == {"api", "worker-1", "beat"}
        assert not (folder / "postgres").exists()
