"""`make mutations`: apply each mutation in a scratch copy and run the tests that it concerns.

Exit status 1 if one survives, or if those tests fail without it: then they prove nothing.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from local import temporary
from local.files import CHECKOUT
from tests.mutations.catalogue import MUTATIONS, Mutation

TESTS_FAILED = 1  # pytest's exit status; others mean that it could not run them
SECONDS_MAX = 900


def copy(to: Path) -> None:
    """What git knows or would take, without environments and data."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name)
    for environment in (".venv", ".venv-clients"):
        (to / environment).symlink_to(CHECKOUT / environment)


def run(folder: Path, tests: list[str], *, must_pass: bool = False) -> int:
    """pytest's exit status; it stops at the first failure. What it says is shown where it is a surprise."""
    command = [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "--no-header", *tests]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX, env=os.environ, check=False
    )
    if done.returncode > TESTS_FAILED or (must_pass and done.returncode):
        print(done.stdout[-2000:] + done.stderr[-2000:], file=sys.stderr)
    return done.returncode


def survives(folder: Path, mutation: Mutation) -> bool:
    """Do the tests pass with it? Raises where it cannot be applied, or the tests cannot be run."""
    path = folder / mutation.file
    before = path.read_text()
    if before.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.file} does not hold this exactly once:\n{mutation.old}")
    path.write_text(before.replace(mutation.old, mutation.new))
    try:
        status = run(folder, mutation.tests.split())
    finally:
        path.write_text(before)
    if status > TESTS_FAILED:
        raise SystemExit(f"the tests could not be run for: {mutation.promise}")
    return status == 0


def main() -> int:
    with temporary.folder() as folder:
        copy(folder)
        concerned = sorted({name for mutation in MUTATIONS for name in mutation.tests.split()})
        print(f"first {len(concerned)} test files without a mutation …", flush=True)
        if run(folder, concerned, must_pass=True) != 0:
            print("they fail already: nothing is proved", file=sys.stderr)
            return 1
        survivors = 0
        for mutation in MUTATIONS:
            began = time.monotonic()
            alive = survives(folder, mutation)
            survivors += alive
            word = "SURVIVES" if alive else "noticed"
            print(f"{word:<9} {time.monotonic() - began:5.1f} s  {mutation.promise}", flush=True)
    print(f"{len(MUTATIONS) - survivors} of {len(MUTATIONS)} noticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
