"""Cursors whose errors say what is wrong and not with which values.

PostgreSQL adds the offending row to an error (`DETAIL: Failing row contains …`). Errors end up in
logs, and rows hold what customers sent. The first line names the constraint, which is enough.
"""

from typing import Any

import psycopg2
from psycopg2.extensions import cursor


class TerseCursor(cursor):
    """Keeps the first line of each error."""

    def execute(self, query: Any, vars: Any = None) -> None:
        try:
            super().execute(query, vars)
        except psycopg2.Error as error:
            _shorten(error)
            raise

    def executemany(self, query: Any, vars_list: Any) -> None:
        try:
            super().executemany(query, vars_list)
        except psycopg2.Error as error:
            _shorten(error)
            raise


def _shorten(error: psycopg2.Error) -> None:
    """Its parts (`diag`) stay for code that asks for them."""
    if error.args and isinstance(error.args[0], str):
        error.args = (error.args[0].partition("\n")[0], *error.args[1:])
