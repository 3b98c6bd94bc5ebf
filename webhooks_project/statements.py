"""Statements that PostgreSQL plans once per connection.

To plan one of those of the hot path takes about half a millisecond, as long as it takes to carry out for
a few dozen rows. psycopg2 knows no prepared statements, but SQL does. They belong to a session, so a pooler
in between has to keep sessions apart.
"""

import re
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection

_PARAMETER = re.compile(r"%\((\w+)\)s")


class Statement:
    """SQL with named parameters (`%(name)s`), each of whose types PostgreSQL can tell from its place."""

    def __init__(self, name: str, sql: str) -> None:
        """`name`: known to the database, so it has to be unique in the product."""
        self.name = name
        self.parameters = list(dict.fromkeys(_PARAMETER.findall(sql)))
        places = {parameter: f"${number}" for number, parameter in enumerate(self.parameters, 1)}
        planned = _PARAMETER.sub(lambda found: places[found[1]], sql).replace("%%", "%")
        self._prepare = f"PREPARE {name} AS {planned}"
        self._execute = f"EXECUTE {name} ({', '.join(['%s'] * len(self.parameters))})"
        # By the driver's connection: another one knows nothing of it.
        self._prepared: WeakKeyDictionary[Any, None] = WeakKeyDictionary()

    def run(self, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Carry it out on this thread's connection; the rows of the answer, if it has any."""
        with connection.cursor() as cursor:
            if connection.connection not in self._prepared:
                cursor.execute(self._prepare)
                self._prepared[connection.connection] = None
            cursor.execute(self._execute, [values[name] for name in self.parameters])
            if cursor.description is None:
                return []
            columns = [column.name for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
