"""All processes of local mode as one object: for `make serve`, `make demo` and the end-to-end tests."""

import base64
import hashlib
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from local.applications import Applications
from local.errors import StartFailed
from local.files import CHECKOUT, keep, read_kept, write_private
from local.ports import hold_any, hold_first_free, port_of
from local.postgres import Postgres
from local.service import Interrupts, Service, inherited_environment
from local.supervisor import Supervisor
from local.valkey import Valkey


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """What to run and where."""

    data_dir: Path
    port: int | range | None = None
    """Port of the API: this one, the first free one of a range, or any."""
    host: str = "127.0.0.1"
    workers: int = 1
    concurrency: int = 512
    pool: str = "loop"
    """`loop` is the one of settings/queue.py; others are Celery's names, such as `threads`."""
    database_url: str | None = None
    """A PostgreSQL server to use instead of one from the wheel."""
    broker_url: str | None = None
    """A Redis or Valkey server to use instead of one from the wheel."""
    durable: bool = True
    """False speeds the database up for tests that do not kill it."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables for the API, workers and beat; they win over those of the stack."""


class Stack:
    """PostgreSQL, Valkey, API, workers and beat; `with Stack(config) as stack:` starts and stops them."""

    def __init__(self, config: StackConfig, interrupts: Interrupts | None = None) -> None:
        self.config = config
        self.supervisor = Supervisor(config.data_dir.absolute(), interrupts)
        self.port = 0
        self.settings: dict[str, str] = {}
        """The variables that make up the stack: servers, secrets, mode. Known after the start."""
        self.new_database = False
        """Whether this start made the database."""
        self._exit = ExitStack()

    @property
    def folder(self) -> Path:
        return self.supervisor.folder

    @property
    def processes(self) -> dict[str, Service]:
        """The services by name: postgres, valkey, api, worker-1, …, beat."""
        return self.supervisor.services

    @property
    def base_url(self) -> str:
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        return f"http://{host}:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of the stack's Django processes, also good for `manage.py`."""
        return {**inherited_environment(), "PYTHONUNBUFFERED": "1", **self.settings}

    def start(self) -> None:
        """Start everything and return when all of it is ready; on failure nothing keeps running."""
        try:
            self._exit.enter_context(self.supervisor)
            with self._hold_port():
                self._start_servers()
                self.manage("migrate", "--verbosity", "0")
            self._start_applications()
            self.supervisor.wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything that runs, in order."""
        self._exit.close()

    def restart(self, name: str) -> None:
        """Stop a service if it runs, start it and wait until it is ready."""
        service = self.processes[name]
        service.ask_to_stop()
        service.finish(self.supervisor.interrupts)
        service.start()
        self.supervisor.wait(name)

    def manage(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run a `manage.py` command on the stack's servers and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            # Ctrl-C is for us: a migration is not to be torn apart.
            start_new_session=True,
            check=False,
        )
        if done.returncode != 0:
            raise StartFailed(f"manage.py {arguments[0]} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _hold_port(self) -> socket.socket:
        """Keep the API's port from others who start at the same time, until the API takes it."""
        wanted = self.config.port
        ports = [wanted] if isinstance(wanted, int) else wanted
        holder = hold_any() if ports is None else hold_first_free(ports, self.config.host)
        self.port = port_of(holder)
        return holder

    def _start_servers(self) -> None:
        """Our own servers, but for those that the configuration names."""
        with hold_any() as one, hold_any() as other:
            postgres_port, valkey_port = port_of(one), port_of(other)
        broker_url, database_url = self.config.broker_url, self.config.database_url
        if broker_url is None:
            valkey = Valkey(self.folder, valkey_port)
            self.supervisor.start(valkey.service())
            broker_url = valkey.url
        if database_url is None:
            postgres = Postgres(self.folder, postgres_port, durable=self.config.durable)
            self.new_database = postgres.prepare()
            self.supervisor.start(postgres.service())
            self.supervisor.wait("postgres")
            postgres.create_database()
            database_url = postgres.url
        if "valkey" in self.processes:
            self.supervisor.wait("valkey")
        self._notice_another_database()
        self.settings = self._settings(database_url, broker_url)

    def _notice_another_database(self) -> None:
        """What the data folder remembers of keys belongs to the database that they were made in."""
        marker = self.folder / "database"
        named = hashlib.sha256((self.config.database_url or "our own").encode()).hexdigest()
        if read_kept(marker) not in (None, named):
            self.new_database = True
        write_private(marker, named + "\n")

    def _settings(self, database_url: str, broker_url: str) -> dict[str, str]:
        secret_key = keep(self.folder / "secret-key", lambda: secrets.token_urlsafe(48))
        # The form of a Fernet key.
        encryption_key = keep(
            self.folder / "encryption-key", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        )
        return {
            "RUNHOOKS_MODE": "local",
            "DATABASE_URL": database_url,
            "BROKER_URL": broker_url,
            "SECRET_KEY": secret_key,
            "ENCRYPTION_KEYS": encryption_key,
            "PUBLIC_BASE_URL": self.base_url,
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
            "WEBHOOK_ALLOWED_PORTS": "80,443,1024-65535",
            **self.config.env,
        }

    def _start_applications(self) -> None:
        applications = Applications(folder=self.folder, env=self.env)
        self.supervisor.start(applications.api(self.config.host, self.port))
        for number in range(1, self.config.workers + 1):
            self.supervisor.start(applications.worker(number, self.config.pool, self.config.concurrency))
        self.supervisor.start(applications.beat())
