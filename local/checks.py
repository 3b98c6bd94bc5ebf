"""`make checks`: what Django can tell before anything runs, that production refuses half a set-up, and
that the published OpenAPI document is true.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from local import openapi, temporary
from local.manage import environment, manage
from local.supervisor import say

REQUIRED_IN_PRODUCTION = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ENCRYPTION_KEYS")


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

    yield "docs/openapi.json is what the code says", openapi.problem(folder)


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
