"""Living with a database that restarts: a dropped connection costs one repetition, not an error."""

from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

Result = TypeVar("Result")

# What psycopg raises when the server or the connection to it is gone.
DATABASE_AWAY = (OperationalError, InterfaceError)


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
