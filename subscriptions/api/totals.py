"""How many rows a list has. Seed 001's lists say so on every page, and a log may have millions."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)

# 10 to 20 ms, where five million rows take a second.
COUNTED_MAX = 50_000


class Part(NamedTuple):
    """Some rows of a list."""

    rows: Sequence[Any]
    #: exact up to COUNTED_MAX and once the end is reached; PostgreSQL's estimate beyond, never so small that
    #: whoever reads until `offset` has reached it would miss rows
    total: int


def part(rows: QuerySet[Row], offset: int, limit: int) -> Part:
    """At most `limit` of the rows, from the one with this number."""
    # One more tells whether these are the last ones.
    found = list(rows[offset : offset + limit + 1])
    reached = offset + len(found)
    counted = rows.order_by()[: COUNTED_MAX + 1].count()
    if counted <= COUNTED_MAX:
        return Part(found[:limit], counted)
    if not found:
        return Part(found, min(offset, max(_estimated(rows), counted)))
    if len(found) <= limit:
        return Part(found, reached)
    return Part(found[:limit], max(_estimated(rows), counted, reached))


def _estimated(rows: QuerySet[Row]) -> int:
    """Of the planner, as good as the last ANALYZE: it plans only, and carries nothing out."""
    (plan,) = json.loads(rows.order_by().explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])
