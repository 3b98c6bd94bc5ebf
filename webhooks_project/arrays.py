"""Arrays as PostgreSQL writes them.

psycopg2 makes an expression of every element (`ARRAY['…'::uuid, …]`): 3 µs each here, and as much again
in PostgreSQL, which has to parse them. A literal is one text, whatever its length.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any


def array(values: Iterable[Any]) -> str:
    """The literal of an array of texts, UUIDs, numbers, booleans, times and nulls, to be cast to its type."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if isinstance(value, str):
        # Quoted, for a bare word may be NULL, empty, or hold what separates elements.
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if value is None:
        return "NULL"
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return str(value)
