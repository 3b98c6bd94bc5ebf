"""Fills a stack's tables with millions of rows, as copies of one that the service made itself."""

from collections.abc import Mapping

from benchmarks.contestants import Contestant

ROWS_PER_STATEMENT = 250_000
COLUMNS = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %s ORDER BY ordinal_position"""


def copy_rows(
    product: Contestant,
    table: str,
    like: str,
    count: int,
    changed: Mapping[str, str],
    *,
    apart_ms: int = 500,
) -> None:
    """`count` copies of the row of `table` with the condition `like`, older than it, oldest first.

    `changed` has an SQL expression per column; `n` in it is the number of the copy, counted down. Reading
    the columns from the database keeps this from ageing with the tables.
    """
    columns = [name for (name,) in product.query(COLUMNS, [table])]
    # Keys are time-ordered, so that history lies where history lies.
    back = f"n * interval '{apart_ms} ms'"
    values = {"id": f"uuidv7(-({back}))", "created_at": f"now() - {back}", **changed}
    chosen = ", ".join(values.get(column, f"one.{column}") for column in columns)
    names = ", ".join(columns)
    for most in range(count, 0, -ROWS_PER_STATEMENT):
        least = max(most - ROWS_PER_STATEMENT, 0) + 1
        product.query(
            f"INSERT INTO {table} ({names}) SELECT {chosen}"  # noqa: S608 - names of our own tables
            f" FROM (SELECT * FROM {table} WHERE {like} LIMIT 1) AS one,"
            f" generate_series({most}, {least}, -1) AS n"
        )
    product.query(f"VACUUM ANALYZE {table}")
