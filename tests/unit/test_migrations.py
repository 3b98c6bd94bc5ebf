"""Migrations run while the old code still serves."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now, Random

from tests.migration_rules import Refusal, refusals

APPS = ("subscriptions", "delivery", "runs")
# They make the tables: there is no code before them.
FIRST = "0001_initial"
ALLOWED: dict[tuple[str, str], str] = {
    ("delivery.0002_delivery_fillfactor", "RunSQL"): "a storage parameter: a short lock, no row is touched",
    ("delivery.0012_fan_out", "RunSQL"): "a storage parameter of the table that the same migration makes",
    ("subscriptions.0005_audit_entry", "RunSQL"): "a trigger on the table that the same migration makes",
    ("subscriptions.0007_audit_truncate", "RunSQL"): "a trigger: inserts into the audit wait for a moment, "
    "no row is read",
}


def ours() -> Iterator[tuple[str, list[Refusal]]]:
    """Each migration of ours but the first ones, with what the rules refuse in it."""
    loader = MigrationLoader(None)
    for app, name in sorted(loader.disk_migrations):
        if app in APPS and name != FIRST:
            migration = loader.get_migration(app, name)
            before = loader.project_state((app, name), at_end=False)
            yield f"{app}.{name}", list(refusals(migration, before))


def test_every_migration_can_run_while_the_old_code_serves() -> None:
    refused = {
        f"{migration}: {operation}": why
        for migration, found in ours()
        for operation, why in found
        if (migration, operation) not in ALLOWED
    }

    assert refused == {}


def test_what_is_allowed_is_still_there_and_has_a_reason() -> None:
    found = {(migration, operation) for migration, refused in ours() for operation, _ in refused}

    assert set(ALLOWED) <= found
    assert all(ALLOWED.values())


def test_migrations_have_one_end_in_each_app() -> None:
    loader = MigrationLoader(None)

    assert {app: len(loader.graph.leaf_nodes(app)) for app in APPS} == dict.fromkeys(APPS, 1)


BEFORE = (
    operations.CreateModel(
        "Delivery",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("note", models.CharField(max_length=10, null=True)),
            ("tries", models.IntegerField(db_default=0)),
            ("must", models.IntegerField()),
            (
                "of",
                models.ForeignKey(
                    "delivery.Canary", models.CASCADE, null=True, db_constraint=False, db_index=False
                ),
            ),
        ],
    ),
    operations.CreateModel("Canary", [("id", models.BigAutoField(primary_key=True))]),
)


def refused(*wanted: Any, atomic: bool = True) -> list[str]:
    """The operations that are refused, after tables `delivery` (big) and `canary` (small) are there."""
    state = ProjectState()
    for operation in BEFORE:
        operation.state_forwards("delivery", state)
    migration = type("Wanted", (Migration,), {"operations": wanted, "atomic": atomic})
    return [operation for operation, _ in refusals(migration("9999_test", "delivery"), state)]


def add(field: "models.Field[Any, Any]", table: str = "delivery") -> operations.AddField:
    return operations.AddField(table, "new", field)


def alter(field: "models.Field[Any, Any]", name: str = "note") -> operations.AlterField:
    return operations.AlterField("delivery", name, field)


INDEX = models.Index(fields=["note"], name="by_note")
CHECK = models.CheckConstraint(condition=models.Q(tries__gte=0), name="tries_positive")
UNSAFE: dict[str, Any] = {
    "a column without a default of the database": add(models.IntegerField(default=0)),
    "a default that differs by row": add(models.FloatField(db_default=Random())),
    "an indexed column": add(models.IntegerField(null=True, db_index=True)),
    "a unique column": add(models.IntegerField(null=True, unique=True)),
    "a checked foreign key": add(models.ForeignKey("delivery.Canary", models.CASCADE, null=True)),
    "a column less": operations.RemoveField("delivery", "note"),
    "a column renamed": operations.RenameField("delivery", "note", "remark"),
    "a table less": operations.DeleteModel("Canary"),
    "a table renamed": operations.RenameModel("Canary", "Bird"),
    "a table under another name": operations.AlterModelTable("Canary", "bird"),
    "another type": alter(models.IntegerField(null=True)),
    "a shorter text": alter(models.CharField(max_length=5, null=True)),
    "no NULL any more": alter(models.CharField(max_length=10)),
    "no default any more": alter(models.IntegerField(), "tries"),
    "a foreign key that is checked now": alter(
        models.ForeignKey("delivery.Canary", models.CASCADE, null=True, db_index=False), "of"
    ),
    "a foreign key to another table": alter(
        models.ForeignKey("delivery.Delivery", models.CASCADE, null=True, db_constraint=False), "of"
    ),
    "an index now": alter(models.CharField(max_length=10, null=True, db_index=True)),
    "an index under a lock": operations.AddIndex("delivery", INDEX),
    "a constraint that is checked under a lock": operations.AddConstraint("delivery", CHECK),
    "code in one transaction": operations.RunPython(lambda apps, editor: None),
    "SQL": operations.RunSQL("SELECT 1"),
    "SQL in a wrapper": operations.SeparateDatabaseAndState([operations.RunSQL("SELECT 1")]),
    "a column that new code would leave out though it must be given": operations.SeparateDatabaseAndState(
        state_operations=[operations.RemoveField("delivery", "must")]
    ),
    "something unknown": operations.AlterUniqueTogether("delivery", {("id", "note")}),
}


@pytest.mark.parametrize("operation", UNSAFE.values(), ids=UNSAFE)
def test_what_old_code_or_a_big_table_does_not_bear_is_refused(operation: Any) -> None:
    assert len(refused(operation)) == 1


SAFE: dict[str, Any] = {
    "a new table": operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))]),
    "a column that may be NULL": add(models.IntegerField(null=True)),
    "a column with a constant of the database": add(models.IntegerField(db_default=0)),
    "a column with the time of the migration": add(models.DateTimeField(db_default=Now())),
    "a foreign key that is not checked": add(
        models.ForeignKey("delivery.Canary", models.CASCADE, null=True, db_index=False, db_constraint=False)
    ),
    "an indexed column of a small table": add(models.IntegerField(null=True, db_index=True), "canary"),
    "a longer text": alter(models.CharField(max_length=20, null=True)),
    "choices and words": alter(
        models.CharField(max_length=10, null=True, choices=[("a", "a")], help_text="b")
    ),
    "a default more": alter(models.IntegerField(db_default=1), "tries"),
    "a column that code forgets and the table keeps": operations.SeparateDatabaseAndState(
        state_operations=[operations.RemoveField("delivery", "note")]
    ),
    "a constraint for new rows": AddConstraintNotValid("delivery", CHECK),
    "a constraint less": operations.RemoveConstraint("delivery", "none"),
}


@pytest.mark.parametrize("operation", SAFE.values(), ids=SAFE)
def test_what_old_code_bears_is_allowed(operation: Any) -> None:
    if isinstance(operation, operations.RemoveConstraint):
        assert (
            refused(
                AddConstraintNotValid("delivery", CHECK), operations.RemoveConstraint("delivery", CHECK.name)
            )
            == []
        )
    else:
        assert refused(operation) == []


def test_an_index_beside_running_traffic_and_code_in_batches_are_allowed() -> None:
    wanted = AddIndexConcurrently("delivery", INDEX), operations.RunPython(lambda apps, editor: None)

    assert refused(*wanted, atomic=False) == []


def test_a_table_of_the_same_migration_is_empty_so_anything_goes() -> None:
    table = operations.CreateModel("New", [("id", models.BigAutoField(primary_key=True))])
    column = operations.AddField("new", "number", models.IntegerField(default=0, unique=True))

    assert refused(table, column) == []
