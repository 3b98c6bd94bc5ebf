"""`make checks`: what Django can tell before anything runs, and that production refuses half a set-up."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from local import temporary
from local.files import CHECKOUT
from local.supervisor import say

REQUIRED_IN_PRODUCTION = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ENCRYPTION_KEYS")


def environment(mode: str, database_url: str, folder: Path) -> dict[str, str]:
    """A whole environment for one mode; nothing of ours gets in but the way to programs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        # An empty folder: `manage.py` is not to find the servers of a running `make serve`.
        "DATA_DIR": str(folder),
        "RUNHOOKS_MODE": mode,
        "DATABASE_URL": database_url,
        "BROKER_URL": "redis://:password@127.0.0.1:6379/0",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "ALLOWED_HOSTS": "hooks.example.com",
        "CSRF_TRUSTED_ORIGINS": "https://hooks.example.com",
        "PUBLIC_BASE_URL": "https://hooks.example.com",
    }


def manage(env: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Run a `manage.py` command; its exit status and all that it printed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def problems(database_url: str, folder: Path) -> Iterator[tuple[str, str | None]]:
    """Each check with what is wrong, or None."""
    status, output = manage(
        environment("local", database_url, folder), "makemigrations", "--check", "--dry-run"
    )
    yield "every model change has its migration", output if status else None

    production = environment("production", database_url, folder)
    status, output = manage(production, "check", "--deploy", "--fail-level", "WARNING")
    yield "Django's deployment checks pass in production", output if status else None

    for name in REQUIRED_IN_PRODUCTION:
        rest = {variable: value for variable, value in production.items() if variable != name}
        status, output = manage(rest, "check")
        refused = status != 0 and name in output
        yield f"production refuses to start without {name}", None if refused else output or "it starts"


def main() -> int:
    """Print one line per check; exit status 1 if any failed."""
    failed = 0
    with temporary.folder() as folder, temporary.postgres() as database_url:
        for title, problem in problems(database_url, folder):
            say(f"{'ok' if problem is None else 'FAILED'}: {title}")
            if problem is not None:
                say(problem)
                failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
