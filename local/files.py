"""Small files of the data folder: secrets that are made once, private files, the lock."""

import fcntl
import os
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

from local.errors import StartFailed

CHECKOUT = Path(__file__).resolve().parent.parent


def make_data_folder(folder: Path) -> None:
    """Create the data folder. Others may pass through, as the database's account must, but not list it."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read; a crash leaves the old content or the new."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_kept(path: Path) -> str | None:
    """The secret in `path`, if it has been made."""
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def keep(path: Path, make: Callable[[], str]) -> str:
    """The secret in `path`, made at the first call."""
    secret = read_kept(path)
    if secret is None:
        secret = make()
        write_private(path, secret + "\n")
    return secret


def lock(folder: Path) -> TextIOWrapper:
    """Claim the data folder until the returned file is closed or the process ends, however it ends."""
    file = open(folder / "lock", "a", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StartFailed(f"the data folder {folder} is in use: Runhooks already runs on it") from None
    return file
