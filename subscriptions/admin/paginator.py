"""Pages of tables that are too big to be counted."""

from typing import Any

from django.core.paginator import Paginator
from django.db import OperationalError, connection, transaction
from django.db.models import Model, QuerySet
from django.utils.functional import cached_property

COUNTED_ROWS_MAX = 10_000
COUNT_MAX_MILLISECONDS = 500


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Never counts a big table, nor skips more than COUNTED_ROWS_MAX rows of it.

    The number is exact up to there. Beyond, or if counting takes long, it is PostgreSQL's own
    estimate where nothing is filtered, else the bound plus one.
    """

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        if not self.object_list.query.where:
            estimate = estimated_rows(self.object_list.model)
            if estimate > COUNTED_ROWS_MAX:
                return estimate
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [COUNT_MAX_MILLISECONDS])
                return self.object_list.order_by()[: COUNTED_ROWS_MAX + 1].count()
        except OperationalError:
            # Few rows match among many that do not: the page may still find its first hundred.
            return COUNTED_ROWS_MAX + 1

    @cached_property
    def num_pages(self) -> int:
        return -(-max(1, min(self.count, COUNTED_ROWS_MAX)) // self.per_page)


def estimated_rows(model: type[Model]) -> int:
    """As of the table's last VACUUM or ANALYZE; -1 before the first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table]
        )
        return int(cursor.fetchone()[0])
