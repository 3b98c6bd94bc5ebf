"""The account that runs PostgreSQL when we are root, and folders that it can reach.

PostgreSQL refuses to run as root. An existing unprivileged account runs it then, on files of its
own. When that account may not enter the checkout (as under root's home), the server's files and the
data get folders of their own elsewhere. Nothing else on the machine is changed.
"""

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import StartFailed

NAMES = ("postgres", "nobody")
# Where a folder outside the checkout may go: data should outlive a reboot, so /tmp comes last.
PARENTS = (Path("/var/tmp"), Path("/var/lib"), Path("/tmp"))  # noqa: S108 - checked by `_is_safe`


@dataclass(frozen=True)
class Account:
    """An unprivileged account of this machine."""

    name: str
    uid: int
    gid: int

    def can_run(self, program: Path) -> bool:
        """Whether it can execute the program, found out by doing it."""
        return self._succeeds([str(program), "--version"])

    def can_enter(self, folder: Path) -> bool:
        """Whether it can open files below this folder, found out by going there."""
        return self._succeeds(["/bin/sh", "-c", 'cd "$0"', str(folder)])

    def _succeeds(self, command: list[str]) -> bool:
        try:
            done = subprocess.run(
                command, cwd="/", capture_output=True, timeout=30, check=False, **identity(self)
            )
        except PermissionError:
            return False
        return done.returncode == 0


def identity(account: Account | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run a command as this account."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def choose_account(data: Path) -> Account | None:
    """Who is to run PostgreSQL on `data`: None for the current user, else an account to change to."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return _account(pwd.getpwuid(owner))
    for name in NAMES:
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise StartFailed(
        f"PostgreSQL does not run as root, and there is no account {' or '.join(NAMES)}; run this as a user"
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def own_folder(kind: str, key: str, account: Account) -> Path:
    """A folder outside the checkout: owned by us, writable by nobody else, reachable by the account."""
    name = f"runhooks-{kind}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    for parent in PARENTS:
        if parent.is_dir() and _is_safe(parent) and account.can_enter(parent):
            folder = parent / name
            if not os.path.lexists(folder):
                folder.mkdir(mode=0o700)
                folder.chmod(0o755)
            require_ours(folder)
            return folder
    raise StartFailed(f"the account {account.name} can enter none of {', '.join(map(str, PARENTS))}")


def require_ours(folder: Path) -> None:
    """Refuse a folder that somebody else made or may change."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StartFailed(f"{folder} is not a folder that only we can change; remove it")


def _is_safe(parent: Path) -> bool:
    """Whether other users cannot rename our folder away and put theirs in its place."""
    found = parent.stat()
    return found.st_uid == 0 and (not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX))


def copy_readable(sources: list[Path], target: Path) -> None:
    """Copy folders into `target`, readable by everyone; `target` appears complete or not at all."""
    part = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    for source in sources:
        shutil.copytree(source, part / source.name, symlinks=True)
    for folder, _, files in os.walk(part):
        Path(folder).chmod(0o755)
        for file in (Path(folder) / name for name in files):
            if not file.is_symlink():
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
    try:
        part.rename(target)
    except OSError:
        # Another process was faster.
        if not target.is_dir():
            raise
        shutil.rmtree(part)
