"""Runs and steps by the dozen: read and written in one statement each, planned once per connection.

Through the ORM each report is five statements of its own, and to make their SQL costs more than to run them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db.models import Field, JSONField, Model

from runs.fields import OrderedJSONField
from runs.held import HeldRun
from runs.models import Run, Step, Workflow, WorkflowVersion
from subscriptions.models import Organization
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

Row = TypeVar("Row", bound=Model)

# What tells a run from all others: the organization, and the id that it has there.
RunName = tuple[int, str]


def columns(model: type[Model]) -> str:
    """All of them, each under a name of its own beside those of other tables."""
    table = model._meta.db_table
    return ", ".join(f"{table}.{f.column} AS {table}_{f.column}" for f in model._meta.concrete_fields)


# The rows are locked one after another in the order that is asked for. One by one from the index, whatever
# the statistics say. The lock is that of an update of non-key columns, so rows that point at a run can still
# be made. Of what is joined nothing ever changes, so that a row read before a wait for the lock is good.
HOLD = Statement(
    "runhooks_hold_runs",
    f"""
SELECT runs_run.*, {columns(WorkflowVersion)}, {columns(Workflow)}
FROM unnest(%(organizations)s::bigint[], %(public_ids)s::text[]) AS asked (organization_id, public_id)
CROSS JOIN LATERAL (
    SELECT {columns(Run)} FROM runs_run
    WHERE organization_id = asked.organization_id AND public_id = asked.public_id
    LIMIT 1 FOR NO KEY UPDATE
) AS runs_run
CROSS JOIN LATERAL (
    SELECT * FROM runs_workflowversion WHERE id = runs_run_version_id LIMIT 1) AS runs_workflowversion
CROSS JOIN LATERAL (SELECT * FROM runs_workflow WHERE id = runs_run_workflow_id LIMIT 1) AS runs_workflow
""",  # noqa: S608 - names of our own tables and columns
)

# Not together with the runs: while that waits for a lock, another transaction may be making steps.
STEPS = Statement(
    "runhooks_read_steps",
    f"""
SELECT asked.run_id AS of_run, runs_step.*,
       (SELECT coalesce(max(index) + 1, 0) FROM runs_step WHERE run_id = asked.run_id) AS next_index
FROM unnest(%(runs)s::bigint[], %(keys)s::text[]) AS asked (run_id, key)
LEFT JOIN LATERAL (
    SELECT {columns(Step)} FROM runs_step WHERE run_id = asked.run_id AND key = asked.key LIMIT 1
) AS runs_step ON true
""",  # noqa: S608 - names of our own table and columns
)

ALL_STEPS = Statement(
    "runhooks_read_all_steps",
    f"""
SELECT runs_step.* FROM unnest(%(runs)s::bigint[]) AS asked (run_id)
CROSS JOIN LATERAL (SELECT {columns(Step)} FROM runs_step WHERE run_id = asked.run_id OFFSET 0) AS runs_step
""",  # noqa: S608 - names of our own table and columns
)

# What reports change, with its type.
RUN_CHANGES = {
    **dict.fromkeys("status progress executor_id output error artifacts".split(), "text"),
    "reports": "jsonb",
    **dict.fromkeys("started_at ended_at updated_at".split(), "timestamptz"),
}
STEP_CHANGES = {
    **dict.fromkeys("name status input output primary metadata error artifacts".split(), "text"),
    "reports": "jsonb",
    "ended_at": "timestamptz",
}
NEW_STEP = {"run_id": "bigint", "key": "text", "index": "int", "started_at": "timestamptz"}
_json = OrderedJSONField()
JSON_COLUMNS = {
    field.attname
    for model in (Run, Step)
    for field in model._meta.concrete_fields
    if isinstance(field, OrderedJSONField | JSONField)
}


def unnested(columns: dict[str, str], prefix: str = "") -> str:
    # jsonb has no literal in an array of texts; each is cast on its own.
    kinds = {name: "text" if kind == "jsonb" else kind for name, kind in columns.items()}
    return ", ".join(f"%({prefix}{name})s::{kind}[]" for name, kind in kinds.items())


def cast(columns: dict[str, str]) -> str:
    return ", ".join(f'given."{name}"::{kind}' for name, kind in columns.items())


def named(columns: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


_STEP = NEW_STEP | STEP_CHANGES
WRITE = Statement(
    "runhooks_write_runs",
    f"""
WITH changed AS (
    UPDATE runs_run SET ({named(RUN_CHANGES)}) = ROW({cast(RUN_CHANGES)})
    FROM unnest(%(run_id)s::bigint[], {unnested(RUN_CHANGES, "run_")}) AS given (id, {named(RUN_CHANGES)})
    WHERE runs_run.id = given.id
)
INSERT INTO runs_step ({named(_STEP)})
SELECT {cast(_STEP)} FROM unnest({unnested(_STEP, "step_")}) AS given ({named(_STEP)})
ON CONFLICT (run_id, key) DO UPDATE
SET ({named(STEP_CHANGES)}) = ROW({", ".join(f'excluded."{name}"' for name in STEP_CHANGES)})
""",  # noqa: S608 - names of our own tables and columns
)


def hold(names: Mapping[RunName, Organization]) -> dict[RunName, HeldRun]:
    """The runs of these names, locked until the transaction ends; what does not exist is missing.

    In the order of their names, so that of two calls with the same runs one waits for the other.
    """
    if not names:
        return {}
    organizations, public_ids = zip(*sorted(names), strict=True)
    found = HOLD.run({"organizations": array(organizations), "public_ids": array(public_ids)})
    held = {}
    for row in found:
        run, version, workflow = read(Run, row), read(WorkflowVersion, row), read(Workflow, row)
        name = run.organization_id, run.public_id
        run.version, run.workflow, run.organization = version, workflow, names[name]
        held[name] = HeldRun(run)
    return held


def read_steps(asked: Sequence[tuple[HeldRun, str]]) -> None:
    """Put these steps at hand, as far as they exist, and know the places of the next ones."""
    if not asked:
        return
    by_id = {held.run.pk: held for held, _ in asked}
    runs, keys = zip(*{(held.run.pk, key) for held, key in asked}, strict=True)
    for row in STEPS.run({"runs": array(runs), "keys": array(keys)}):
        by_id[row["of_run"]].next_index = row["next_index"]
        if row["runs_step_id"] is not None:
            _put(row, by_id)


def read_all_steps(asked: Sequence[HeldRun]) -> None:
    """Put all steps of these runs at hand."""
    if not asked:
        return
    by_id = {held.run.pk: held for held in asked}
    for row in ALL_STEPS.run({"runs": array(by_id)}):
        _put(row, by_id)
    for held in asked:
        held.next_index = 1 + max((step.index for step in held.steps.values()), default=-1)
        held.is_whole = True


def _put(row: dict[str, Any], by_id: Mapping[int, HeldRun]) -> None:
    step = read(Step, row)
    held = by_id[step.run_id]
    step.run = held.run
    held.steps[step.key] = step


def write(held: Sequence[HeldRun]) -> None:
    """What reports have made of them."""
    runs = [one.run for one in held if one.changed]
    steps = [one.steps[key] for one in held for key in sorted(one.changed_steps)]
    if runs or steps:
        changes = written(runs, ["id", *RUN_CHANGES], "run_")
        WRITE.run(changes | written(steps, [*NEW_STEP, *STEP_CHANGES], "step_"))


def written(rows: Sequence[Model], names: Iterable[str], prefix: str = "") -> dict[str, str]:
    """An array for each column; JSON as text."""
    columns = {}
    for name in names:
        values: Iterable[Any] = [getattr(row, name) for row in rows]
        if name in JSON_COLUMNS:
            values = map(_json.get_prep_value, values)
        columns[prefix + name] = array(values)
    return columns


def read(model: type[Row], row: dict[str, Any]) -> Row:
    """The model's own part of a row, as the ORM would read it."""
    names, columns, in_json = _fields(model)
    values = [row[column] for column in columns]
    for place in in_json:
        if values[place] is not None:
            values[place] = json.loads(values[place])
    return model.from_db(None, names, values)


@cache
def _fields(model: type[Model]) -> tuple[list[str], list[str], list[int]]:
    """The names of its fields, those of their columns in an answer, and which of them are JSON."""
    fields: Sequence[Field[Any, Any]] = model._meta.concrete_fields
    prefix = f"{model._meta.db_table}_"
    in_json = [place for place, field in enumerate(fields) if isinstance(field, OrderedJSONField | JSONField)]
    return [field.attname for field in fields], [f"{prefix}{field.column}" for field in fields], in_json
