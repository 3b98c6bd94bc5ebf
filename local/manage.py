"""Runs `manage.py` in a whole environment of its own, which nothing of ours gets into."""

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local.files import CHECKOUT


def environment(mode: str, database_url: str, folder: Path) -> dict[str, str]:
    """A whole environment for one mode."""
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
