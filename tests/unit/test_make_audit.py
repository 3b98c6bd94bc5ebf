"""`make audit` says what is known to be vulnerable, and never takes an unreachable list for a clean one."""

import json
import stat
from pathlib import Path

import pytest

from local import audit
from local.audit import Audited

CLEAN = {"name": "django", "version": "5.2.19", "vulns": []}
VULNERABLE = {
    "name": "requests",
    "version": "2.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": "Bad."}],
}
SKIPPED = {"name": "celery", "skip_reason": "Dependency not found on PyPI"}


def pip_audit(folder: Path, *dependencies: object) -> Path:
    """A program that reports these."""
    report = folder / "report.json"
    report.write_text(json.dumps({"dependencies": dependencies}))
    return script(folder, f"cat {report}")


def script(folder: Path, line: str) -> Path:
    program = folder / "pip-audit"
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize(
    ("dependencies", "status"),
    [([CLEAN], 0), ([CLEAN, VULNERABLE], 1), ([CLEAN, SKIPPED], 3), ([SKIPPED, VULNERABLE], 1)],
    ids=["clean", "vulnerable", "unknown", "both"],
)
def test_the_exit_status_tells_clean_from_vulnerable_from_unknown(
    tmp_path: Path, dependencies: list[object], status: int
) -> None:
    audited = audit.python_lock("production", pip_audit(tmp_path, *dependencies))

    assert audit.status([audited]) == status


def test_an_advisory_is_told_with_the_version_that_mends_it(tmp_path: Path) -> None:
    audited = audit.python_lock("production", pip_audit(tmp_path, VULNERABLE))

    assert audited.vulnerable == ("requests 2.0: PYSEC-1, fixed in 2.1",)


def test_an_index_that_cannot_be_reached_is_not_a_clean_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = script(tmp_path, "echo 'ConnectionError: pypi.org' >&2; exit 1")
    monkeypatch.setattr(audit, "npm_lock", lambda: Audited("npm", ()))

    status = audit.main(str(program))

    told = capsys.readouterr().out
    assert status == audit.UNKNOWN
    assert "no list of known vulnerabilities could be reached" in told
    assert "ConnectionError: pypi.org" in told
