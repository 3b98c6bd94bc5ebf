"""The drill of docs/deploy.md: a dump, a disaster, a restored database, and what was pending is delivered."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import pytest

from local import temporary
from local.files import CHECKOUT
from local.postgres import Postgres
from local.stack import Stack, StackConfig
from tests.e2e.conftest import Api, eventually
from tests.e2e.test_stack import webhook_ids
from tests.receiver import Receiver

USERS = ("api", "worker-1", "beat")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with (
        temporary.folder() as folder,
        Stack(StackConfig(data_dir=folder, workers=1, concurrency=16)) as running,
    ):
        yield running


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


def environment(stack: Stack, backups: Path) -> dict[str, str]:
    """What docker-compose.yml gives to the service `backup`."""
    server = urlsplit(stack.settings["DATABASE_URL"])
    return {
        "PATH": f"{Postgres(stack.folder, 0).programs}:{os.defpath}",
        "PGHOST": server.hostname or "",
        "PGPORT": str(server.port),
        "PGUSER": server.username or "",
        "PGPASSWORD": server.password or "",
        "PGDATABASE": server.path.strip("/"),
        "BACKUP_FOLDER": str(backups),
    }


def run(
    stack: Stack, backups: Path, script: str, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(CHECKOUT / "deploy" / script), *arguments],
        env=environment(stack, backups) | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def dumps(backups: Path) -> list[str]:
    return sorted(path.name for path in backups.iterdir())


def back_up(stack: Stack, backups: Path) -> str:
    done = run(stack, backups, "backup.sh", "once")
    assert done.returncode == 0, done.stderr
    (name,) = dumps(backups)
    return name


def databases(stack: Stack) -> set[str]:
    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database, database.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE NOT datistemplate")
        return {name for (name,) in cursor}


def stop(stack: Stack) -> None:
    for name in USERS:
        stack.processes[name].ask_to_stop()
        stack.processes[name].finish(stack.supervisor.interrupts)


@pytest.mark.timeout(240)
def test_after_a_restore_the_service_goes_on_and_delivers_what_was_pending_then(
    stack: Stack, receiver: Receiver, backups: Path
) -> None:
    api = Api(stack, stack.manage("create_api_key", "--organization", "drill", "--scopes", "all").strip())
    receiver.reply(503, path="/drill")
    subscription = api.subscribe(receiver.url("/drill"), retry_schedule=[3, 3600])
    (waiting,) = api.events(1, "drill.waiting")
    receiver.wait_for(1, "/drill")
    stack.processes["worker-1"].ask_to_stop()
    stack.processes["worker-1"].finish(stack.supervisor.interrupts)
    (pending,) = api.events(1, "drill.pending")
    name = back_up(stack, backups)

    # What happens after the dump is gone with the database: the receiver hears of it once more.
    receiver.recover("/drill")
    stack.restart("worker-1")
    eventually(lambda: api.states(subscription) == ["delivered"] * 2, 30, "both are delivered")
    (late,) = api.events(1, "drill.late")
    receiver.wait_for(4, "/drill")
    stop(stack)
    restored = run(stack, backups, "restore.sh", name)
    assert restored.returncode == 0, restored.stderr
    for user in USERS:
        stack.restart(user)

    eventually(lambda: api.states(subscription) == ["delivered"] * 2, 30, "both are delivered again")
    assert webhook_ids(receiver.at("/drill")) == {waiting: 3, pending: 2, late: 1}
    assert databases(stack) == {"postgres", "runhooks", "runhooks_before_restore"}
    (new,) = api.events(1, "drill.new")
    eventually(lambda: new in webhook_ids(receiver.at("/drill")), 10, "the service goes on")
    assert run(stack, backups, "restore.sh", name).stderr.startswith(
        "restore: there still is runhooks_before"
    )


def test_nothing_is_changed_while_somebody_works_with_the_database(stack: Stack, backups: Path) -> None:
    name = back_up(stack, backups)
    with closing(psycopg2.connect(stack.settings["DATABASE_URL"])) as database:
        database.autocommit = True
        database.cursor().execute("DROP DATABASE IF EXISTS runhooks_before_restore")

    refused = run(stack, backups, "restore.sh", name)

    assert refused.returncode != 0
    assert "being accessed by other users" in refused.stderr
    assert "runhooks_before_restore" not in databases(stack)


def test_a_dump_that_failed_leaves_none_and_the_old_ones_stay(stack: Stack, backups: Path) -> None:
    name = back_up(stack, backups)

    failed = run(stack, backups, "backup.sh", "once", PGPASSWORD="wrong", BACKUP_KEEP="1")

    assert failed.returncode != 0
    assert dumps(backups) == [name]


def test_the_beginning_of_a_dump_that_failed_takes_no_room(
    stack: Stack, backups: Path, tmp_path: Path
) -> None:
    breaking = tmp_path / "pg_dump"
    breaking.write_text('#!/bin/sh\necho begun > "$4"; exit 1\n')
    breaking.chmod(0o755)
    path = f"{tmp_path}:{environment(stack, backups)['PATH']}"

    failed = run(stack, backups, "backup.sh", "once", PATH=path)

    assert failed.returncode != 0
    assert dumps(backups) == []


def test_so_many_dumps_are_kept_the_newest_ones(stack: Stack, backups: Path) -> None:
    for day in ("20260101T000000Z", "20260102T000000Z", "20260103T000000Z"):
        (backups / f"runhooks-{day}.dump").touch()
    (backups / "of-somebody-else.txt").touch()

    done = run(stack, backups, "backup.sh", "once", BACKUP_KEEP="2")

    assert done.returncode == 0, done.stderr
    foreign, *kept = dumps(backups)
    assert (foreign, kept[0], len(kept)) == ("of-somebody-else.txt", "runhooks-20260103T000000Z.dump", 2)


def test_it_is_healthy_as_long_as_a_dump_is_not_older_than_two_periods(stack: Stack, backups: Path) -> None:
    def healthy(**variables: str) -> bool:
        return run(stack, backups, "backup.sh", "healthy", **variables).returncode == 0

    assert not healthy()
    dump = backups / back_up(stack, backups)
    assert healthy()
    os.utime(dump, (time.time() - 100, time.time() - 100))
    assert healthy(BACKUP_EVERY_SECONDS="60")
    assert not healthy(BACKUP_EVERY_SECONDS="40")


def test_the_schedule_makes_no_dump_before_it_is_time_and_a_signal_ends_it_at_once(
    stack: Stack, backups: Path
) -> None:
    (backups / "runhooks-20260101T000000Z.dump").touch()
    with subprocess.Popen(
        ["sh", str(CHECKOUT / "deploy" / "backup.sh")],
        env=environment(stack, backups) | {"BACKUP_EVERY_SECONDS": "3"},
    ) as process:
        assert len(dumps(backups)) == 1
        eventually(lambda: len(list(backups.glob("*.dump"))) == 2, 30, "the next one is due")
        process.terminate()
        assert process.wait(5) == 0
