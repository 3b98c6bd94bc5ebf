"""`make fuzz`: thousands of calls made from the OpenAPI document, right and wrong ones, all checks on.

FUZZ_EXAMPLES (per operation, 30), FUZZ_SEED (by the clock).
"""

import logging
import sys
import time
from collections import Counter

import tests.environment  # noqa: F401 - sets the mode before Django reads its settings
from local import temporary
from local.files import CHECKOUT
from local.supervisor import say
from webhooks_project import env

REPORT = CHECKOUT / "build" / "fuzz.txt"


def main() -> int:
    """Exit status 0 if every check held, nothing was a fault and every operation was accepted once."""
    env.choose_settings()
    seed = env.integer("FUZZ_SEED", int(time.time()) % 100_000)
    examples = env.integer("FUZZ_EXAMPLES", 30)
    with temporary.postgres() as url:
        prepare(url)
        from tests.fuzz.run import Config, run

        say(f"{examples} examples per operation and all that its limits suggest, with FUZZ_SEED={seed}")
        began = time.monotonic()
        outcome = run(Config(examples=examples, seed=seed))
    statuses: Counter[int] = Counter()
    for counted in outcome.statuses.values():
        statuses += counted
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n\n".join([*outcome.failures, *outcome.errors]))
    kinds = Counter(text.splitlines()[0] for text in outcome.failures)
    for kind, number in kinds.most_common():
        say(f"{number:5} {kind}")
    for text in (*outcome.failures[:5], *outcome.errors[:5]):
        say(text)
    say(f"{outcome.cases} calls of {len(outcome.operations)} operations in {time.monotonic() - began:.0f} s")
    say(", ".join(f"{status}: {number}" for status, number in sorted(statuses.items())))
    say(f"{len(outcome.failures)} failures, {len(outcome.errors)} errors ({REPORT})")
    say(f"answered 500 or more: {', '.join(outcome.faults) or 'none'}")
    say(f"never answered 2xx: {', '.join(outcome.never_accepted) or 'none'}")
    return 1 if outcome.failures or outcome.errors or outcome.faults or outcome.never_accepted else 0


def prepare(database_url: str) -> None:
    """Django on this database, with our tables."""
    import dj_database_url
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    connections["default"].settings_dict.update(dj_database_url.parse(database_url))
    call_command("migrate", verbosity=0)
    # Refusals by the thousand are what this is about.
    logging.disable(logging.CRITICAL)


if __name__ == "__main__":
    sys.exit(main())
