"""`make serve`: runs the whole service on this machine until Ctrl-C."""

import secrets
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from local.errors import StartFailed
from local.files import CHECKOUT, read_kept, write_private
from local.service import Interrupts
from local.stack import Stack, StackConfig
from local.supervisor import say
from webhooks_project import env

DEFAULT_PORTS = range(8000, 8100)
ADMIN = "admin"


@dataclass(frozen=True)
class FirstKeys:
    """What a person needs to begin: made at the first start, shown at each."""

    api_key: str
    admin_password: str | None
    """None when the administrator was there without us knowing the password."""


def first_keys(stack: Stack) -> FirstKeys:
    """The demo organization's API key and the administrator's password, made if they are missing."""
    key_file, password_file = stack.folder / "demo-api-key", stack.folder / "admin-password"
    if stack.new_database:
        # Whatever an earlier database knew, this one does not.
        key_file.unlink(missing_ok=True)
        password_file.unlink(missing_ok=True)
    key = read_kept(key_file)
    if key is None:
        key = stack.manage("create_api_key", "--organization", "demo", "--scopes", "all").strip()
        write_private(key_file, key + "\n")
    password = read_kept(password_file)
    if password is None:
        password = _create_administrator(stack)
        if password is not None:
            write_private(password_file, password + "\n")
    return FirstKeys(key, password)


def _create_administrator(stack: Stack) -> str | None:
    password = secrets.token_urlsafe(12)
    account = {
        "DJANGO_SUPERUSER_USERNAME": ADMIN,
        "DJANGO_SUPERUSER_EMAIL": "admin@localhost",
        "DJANGO_SUPERUSER_PASSWORD": password,
    }
    try:
        stack.manage("createsuperuser", "--noinput", env=account)
    except StartFailed as error:
        say(f"no new administrator: {error}")
        return None
    return password


def show(stack: Stack, keys: FirstKeys) -> None:
    """Tell the person at the terminal all that is needed to use the service."""
    password = keys.admin_password or "as it was set (manage.py changepassword admin sets another)"
    for label, value in (
        ("API", f"{stack.base_url}/v1/"),
        ("docs", f"{stack.base_url}/docs"),
        ("OpenAPI", f"{stack.base_url}/openapi.json"),
        ("API key", f"{keys.api_key}   (organization demo, all scopes)"),
        ("admin", f"{stack.base_url}/admin/   user {ADMIN}, password {password}"),
        ("data, logs", f"{stack.folder}, {stack.folder / 'logs'}"),
    ):
        say(f"  {label:<11} {value}")
    say("This is the local mode: receivers on this machine are allowed, over http. Do not expose it.")
    say("Ctrl-C stops everything.")
    say(f"ready: {stack.base_url}")


def listen_for_interrupts() -> Interrupts:
    """Count the signals that ask us to end, instead of dying of them."""
    interrupts = Interrupts()

    def count(number: int, frame: FrameType | None) -> None:
        interrupts.count += 1

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, count)
    # Under nohup a closed terminal is not a wish to stop.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, count)
    return interrupts


def serve(folder: Path, interrupts: Interrupts) -> None:
    """Start, tell, look after the processes until a person interrupts, stop."""
    wanted = env.integer("PORT", 0)
    config = StackConfig(
        data_dir=folder,
        port=wanted or DEFAULT_PORTS,
        database_url=env.text("DATABASE_URL", "") or None,
        broker_url=env.text("BROKER_URL", "") or None,
    )
    stack = Stack(config, interrupts)
    local_env = folder / "local.env"
    say("starting PostgreSQL, Valkey, the API, a worker and beat …")
    with stack:
        if not wanted and stack.port != DEFAULT_PORTS[0]:
            say(f"port {DEFAULT_PORTS[0]} is taken, using {stack.port}")
        try:
            # `manage.py` in another terminal finds the servers by this file.
            lines = [f"{name}={value}\n" for name, value in stack.settings.items()]
            write_private(local_env, "".join(lines))
            show(stack, first_keys(stack))
            stack.supervisor.watch(lambda: interrupts.stop)
            say("stopping … (Ctrl-C again hastens)")
        finally:
            local_env.unlink(missing_ok=True)
    say("stopped")


def main() -> int:
    """Exit status 0 after a wish to stop, 1 when something could not start."""
    interrupts = listen_for_interrupts()
    try:
        folder = (CHECKOUT / env.text("DATA_DIR", ".data")).resolve()
        serve(folder, interrupts)
    except (StartFailed, env.BadEnvironment) as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}"
    else:
        return 0
    if interrupts.stop:
        say("stopped")
        return 0
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
