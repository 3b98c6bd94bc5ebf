"""When the retention was last at work, by the database's clock."""

from typing import NamedTuple

from django.db import connection

AGES = """
SELECT extract(epoch FROM now() - ended_at)::float8, extract(epoch FROM now() - done_at)::float8
FROM delivery_retentionmark
"""


class Ages(NamedTuple):
    """Seconds since."""

    ended: float
    #: None: no pass has got through everything yet
    done: float | None


def ages() -> Ages | None:
    """None if there was no pass yet."""
    with connection.cursor() as cursor:
        cursor.execute(AGES)
        row = cursor.fetchone()
    return row and Ages(*row)
