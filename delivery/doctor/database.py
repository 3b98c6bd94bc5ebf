"""Looks at the database: does it answer, are its tables those of this code, is its clock right."""

import time
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, run_checks
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from delivery.doctor.finding import Finding, clock, error, ok, warning

# Of one look; what takes longer is a finding of its own.
STATEMENT_MAX_MILLISECONDS = 5_000
NAMED_MAX = 5


def away(reason: str) -> Finding:
    return error(
        "database.answers",
        f"the database does not answer: {reason}",
        "Start it, or correct DATABASE_URL. Until then the API answers 503 and workers wait.",
    )


def prepare() -> Finding:
    """Raises what the database raises."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = %s", [STATEMENT_MAX_MILLISECONDS])
    return ok("database.answers", "the database answers")


def migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    unapplied = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    if unapplied:
        more = f" and {len(unapplied) - NAMED_MAX} more" if len(unapplied) > NAMED_MAX else ""
        return error(
            "database.migrations",
            f"not applied: {', '.join(unapplied[:NAMED_MAX])}{more}",
            "Run `manage.py migrate`.",
        )
    labels = {label for label, _ in executor.loader.disk_migrations}
    unknown = [
        f"{label}.{name}"
        for label, name in executor.loader.applied_migrations
        if label in labels
        and (label, name) not in executor.loader.disk_migrations
        and (label, name) not in executor.loader.replacements
    ]
    if unknown:
        return warning(
            "database.migrations",
            f"applied, but unknown to this code: {', '.join(sorted(unknown)[:NAMED_MAX])}",
            "This process runs an older version than the one that migrated; finish or undo the deployment.",
        )
    return ok("database.migrations", "all migrations are applied")


def host_clock() -> Finding:
    """This host's clock against the database's, which decides what is due."""
    with connection.cursor() as cursor:
        asked_at = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        now = float(cursor.fetchone()[0])
    ahead = (asked_at + time.time()) / 2 - now
    most = settings.CLOCK_DIFFERENCE_MAX_SECONDS
    return clock("database.clock", "this host's clock", "the database's", ahead, most)


def system_checks(*, with_database: bool) -> Iterator[Finding]:
    """What `manage.py check` says; in production with its deployment checks."""
    if with_database:
        messages = run_checks(tags=[Tags.database], databases=["default"])
    else:
        messages = run_checks(include_deployment_checks=settings.PRODUCTION)
    told = [
        message for message in messages if not message.is_silenced() and message.level >= Warning("").level
    ]
    if not told and not with_database:
        yield ok("settings.checks", "Django's checks and those of the settings against each other pass")
    yield from map(_of_check, told)


def _of_check(message: CheckMessage) -> Finding:
    kind = error if message.is_serious() else warning
    return kind(f"check.{message.id}", str(message.msg), str(message.hint or "See `manage.py check`."))
