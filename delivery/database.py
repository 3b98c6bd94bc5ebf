"""Living with a database that restarts: a dropped connection costs one repetition, not an error."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from psycopg2.errors import DeadlockDetected

# Whatever the values: the statements of the hot path take arrays, and are planned to be good for all of them.
PLANNED_ONCE = "SET plan_cache_mode = force_generic_plan"

Result = TypeVar("Result")

# What psycopg raises when the server or the connection to it is gone.
DATABASE_AWAY = (OperationalError, InterfaceError)


def was_deadlock(error: BaseException) -> bool:
    """The database is there: it has ended one of two transactions that waited for each other."""
    return isinstance(error.__cause__, DeadlockDetected)


def is_away(error: BaseException) -> bool:
    return isinstance(error, DATABASE_AWAY) and not was_deadlock(error)


def once_more_after_deadlock(work: Callable[[], Result]) -> Result:
    """Do `work`, a whole transaction or savepoint, of which a deadlock leaves nothing."""
    try:
        return work()
    except OperationalError as error:
        if not was_deadlock(error):
            raise
    return work()


def on_live_connection(work: Callable[[], Result]) -> Result:
    """Do `work`; if the connection turns out to be dead, once more on a new one.

    Only for work that may be done twice: a claim or a record that was committed unnoticed is fenced.
    """
    try:
        return work()
    except DATABASE_AWAY:
        if connection.in_atomic_block:
            raise
        connection.close()
        return work()


@dataclass
class OwnConnection:
    """This thread's database connection, with settings of its own."""

    settings: str
    _seen: object = field(default=None, init=False)

    def ready(self) -> None:
        connection.ensure_connection()
        if connection.connection is not self._seen:
            with connection.cursor() as cursor:
                cursor.execute(self.settings)
            self._seen = connection.connection


def close_connection() -> None:
    connection.close()  # this thread's: what `connection` means is decided at the call
