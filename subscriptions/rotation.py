"""Brings all that is encrypted under the first of ENCRYPTION_KEYS, so that the others can be taken away.

What is done is seen from the rows themselves: a token that the first key alone opens is. So it can
be broken off and begun again at any time. Each row is changed by comparing its old value, in a
statement of its own: what somebody writes meanwhile wins, and no lock outlasts that statement.
No subscription's `version` is raised: what workers have in their caches says the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from subscriptions import secrets
from subscriptions.encrypted import EncryptedColumn, tokens_of, with_tokens

# Keys read at once, of which few may hold tokens; a window of a big table takes some milliseconds.
WINDOW_ROWS = 5_000
# Somebody else changed the row between our look and our change; more than once is unlikely.
TRIES = 5


@dataclass
class Tally:
    """Rows of one column."""

    seen: int = 0
    under_first_key: int = 0
    changed: int = 0
    #: keys of rows that none of the keys opens
    closed: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        """What was found under another key, and only counted."""
        return self.seen - self.under_first_key - self.changed - len(self.closed)


def rotate(column: EncryptedColumn, *, check: bool, progress: Callable[[Tally], None]) -> Tally:
    """Every row of the column, oldest key first; with `check` nothing is changed."""
    tally = Tally()
    if not check:
        # Losing the last changes in a crash of the database costs doing them again.
        with connection.cursor() as cursor:
            cursor.execute("SET synchronous_commit = off")
    rows = column.model._default_manager.order_by("pk")
    for window in windows(rows, column.filled, (column.column,)):
        for pk, value in window:
            _one(column, pk, value, tally, check=check)
        progress(tally)
    return tally


def windows(rows: QuerySet[Any], wanted: Q, columns: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Key and columns of the wanted rows in steps through the primary key, each read as it is then."""
    last = None
    while True:
        beyond = rows if last is None else rows.filter(pk__gt=last)
        keys = list(beyond.values_list("pk", flat=True)[:WINDOW_ROWS])
        if not keys:
            return
        window = beyond.filter(wanted, pk__lte=keys[-1])
        yield list(window.values_list("pk", *columns))
        last = keys[-1]


def _one(column: EncryptedColumn, pk: Any, value: Any, tally: Tally, *, check: bool) -> None:
    rows = column.model._default_manager.filter(pk=pk)
    for _ in range(TRIES):
        if not value or not tokens_of(value):
            return
        try:
            new = with_tokens(value, secrets.under_first_key)
        except secrets.UndecryptableSecret:
            tally.closed.append(str(pk))
            break
        if new == value:
            tally.under_first_key += 1
            break
        if check:
            break
        if rows.filter(**{column.column: value}).update(**{column.column: new}):
            tally.changed += 1
            break
        value = rows.values_list(column.column, flat=True).first()
    tally.seen += 1
