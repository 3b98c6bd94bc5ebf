"""Throw-away servers for tests and checks. They are fast and not durable."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.ports import free_port
from local.postgres import Postgres, noted_home
from local.supervisor import Supervisor
from local.valkey import Valkey


@contextmanager
def folder() -> Iterator[Path]:
    """A data folder that is removed at the end, with what lies elsewhere for it.

    Unlike pytest's own, it can be entered by the account that runs PostgreSQL for root.
    """
    path = Path(tempfile.mkdtemp(prefix="runhooks-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        elsewhere = noted_home(path)
        if elsewhere is not None:
            shutil.rmtree(elsewhere)
        shutil.rmtree(path)


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """A PostgreSQL server with an empty database; its DATABASE_URL."""
    with folder() as path, Supervisor(path) as supervisor:
        server = Postgres(path, free_port(), durable=durable)
        server.prepare()
        supervisor.start(server.service())
        supervisor.wait()
        server.create_database()
        yield server.url


@contextmanager
def valkey() -> Iterator[str]:
    """An empty Valkey server; its BROKER_URL."""
    with folder() as path, Supervisor(path) as supervisor:
        server = Valkey(path, free_port())
        supervisor.start(server.service())
        supervisor.wait()
        yield server.url
