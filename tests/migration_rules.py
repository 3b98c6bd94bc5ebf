"""Which migrations may run while the code before them still serves.

An operation is refused unless it is known to be safe. Old code goes on inserting rows without a new
column, and reading what a migration takes away; and a lock that lasts as long as a big table is
long stops everybody. What is refused and yet right is allowed by name, with the reason
(`ALLOWED` in tests/unit/test_migrations.py).
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres import operations as postgres
from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import CharField, Field, ManyToManyField, Value
from django.db.models.functions import Now

# Tables that grow with every event.
BIG = frozenset(
    {
        *(
            ("delivery", "event"),
            ("delivery", "eventbody"),
            ("delivery", "delivery"),
            ("delivery", "attempt"),
        ),
        *(("runs", "run"), ("runs", "step")),
    }
)
SAFE = (
    operations.CreateModel,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    operations.RenameIndex,
    operations.RemoveConstraint,
    postgres.AddIndexConcurrently,
    postgres.RemoveIndexConcurrently,
    postgres.AddConstraintNotValid,
    postgres.ValidateConstraint,
)
REFUSED = {
    operations.RemoveField: "old code still reads and writes the column: stop using it in one release "
    "(null or db_default first), remove it in the next",
    operations.RenameField: "old code knows only the old name: add a column, fill it, later remove the old",
    operations.RenameModel: "old code knows only the old table",
    operations.AlterModelTable: "old code knows only the old table",
    operations.DeleteModel: "old code still uses the table: remove it in the next release",
    operations.RunSQL: "no machine can judge SQL: say in ALLOWED which lock it takes and how long",
}
Refusal = tuple[str, str]


def refusals(migration: Migration, before: ProjectState) -> Iterator[Refusal]:
    """(operation, why it is refused) for each that must not run beside old code, from the state `before`."""
    state = before.clone()
    # A table that this migration makes is empty, and old code does not know it.
    new: set[tuple[str, str]] = set()
    for operation in migration.operations:
        for part in _on_the_database(operation):
            if isinstance(part, operations.CreateModel):
                new.add((migration.app_label, part.name_lower))
            table = (migration.app_label, getattr(part, "model_name_lower", ""))
            if table not in new and (why := _why_not(part, migration, table, state)):
                yield _name(part), why
        for part in _forgotten(operation):
            field = state.models[migration.app_label, part.model_name_lower].fields[part.name]
            if not field.null and not field.has_db_default():
                yield _name(part), "the column stays and new code leaves it out: null or a db_default first"
        operation.state_forwards(migration.app_label, state)


def _on_the_database(operation: Operation) -> Iterator[Operation]:
    if isinstance(operation, operations.SeparateDatabaseAndState):
        for part in operation.database_operations:
            yield from _on_the_database(part)
    else:
        yield operation


def _forgotten(operation: Operation) -> Iterator[operations.RemoveField]:
    """Fields that only the models lose: the first of two releases that take a column away."""
    if isinstance(operation, operations.SeparateDatabaseAndState) and not operation.database_operations:
        yield from (part for part in operation.state_operations if isinstance(part, operations.RemoveField))


def _name(operation: Operation) -> str:
    parts = [type(operation).__name__, getattr(operation, "model_name", ""), getattr(operation, "name", "")]
    return " ".join(part for part in parts if part)


def _why_not(
    operation: Operation, migration: Migration, table: tuple[str, str], state: ProjectState
) -> str | None:
    if isinstance(operation, SAFE):
        return None
    if isinstance(operation, operations.AddField):
        return _why_not_add(operation.field, table)
    if isinstance(operation, operations.AlterField):
        old = state.models[table].fields[operation.name]
        return _why_not_alter(old, operation.field, table)
    if isinstance(operation, operations.AddIndex | operations.RemoveIndex):
        return "writes wait meanwhile: use the …Concurrently operation" if table in BIG else None
    if isinstance(operation, operations.AddConstraint):
        return (
            "reads the big table under a lock: AddConstraintNotValid, then ValidateConstraint"
            if table in BIG
            else None
        )
    if isinstance(operation, operations.RunPython):
        careful = not migration.atomic or operation.atomic is False
        return None if careful else "one transaction for all rows: set atomic = False and work in batches"
    return REFUSED.get(type(operation), "not known to be safe")


def _why_not_add(field: "Field[Any, Any]", table: tuple[str, str]) -> str | None:
    if isinstance(field, ManyToManyField):
        return None
    if not field.null and not field.has_db_default():
        return "old code inserts rows without the column: null=True or a db_default"
    if table not in BIG:
        return None
    default = field.db_default
    if hasattr(default, "resolve_expression") and not isinstance(default, Value | Now):
        return "a default that differs from row to row rewrites the big table"
    if _indexed(field):
        return "its index is built under a lock: db_index=False, then AddIndexConcurrently"
    if _checked(field):
        return "its foreign key is checked under locks on both tables: db_constraint=False"
    return None


def _why_not_alter(old: "Field[Any, Any]", new: "Field[Any, Any]", table: tuple[str, str]) -> str | None:
    if _column(old) != _column(new) and not _widened(old, new):
        return f"the column's type changes ({_column(old)} to {_column(new)}): the table is rewritten"
    if old.null and not new.null:
        return "old code may write NULL, and the table is read under a lock: first a CHECK that is NOT VALID"
    if old.has_db_default() and not new.has_db_default() and not new.null:
        return "old code relies on the database's default"
    if table in BIG and _checked(new) and not _checked(old):
        return "its foreign key is checked under locks on both tables"
    if table in BIG and _indexed(new) and not _indexed(old):
        return "its index is built under a lock: AddIndexConcurrently"
    return None


def _indexed(field: Any) -> bool:
    return bool(field.unique or field.db_index)


def _checked(field: Any) -> bool:
    return bool(field.is_relation and getattr(field, "db_constraint", False))


def _column(field: Any) -> str | None:
    """Of a foreign key the table that it leads to, which decides its type."""
    if field.is_relation:
        return f"key of {field.remote_field.model}".lower()
    found: str | None = field.db_type(connection)
    return found


def _widened(old: "Field[Any, Any]", new: "Field[Any, Any]") -> bool:
    """A longer varchar, or one without a bound: PostgreSQL only notes it."""
    if not isinstance(old, CharField) or not isinstance(new, CharField):
        return False
    return new.max_length is None or (old.max_length is not None and new.max_length >= old.max_length)
