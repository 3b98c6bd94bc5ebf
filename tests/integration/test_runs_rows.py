"""The statements for many runs at a time find their rows by keys, however large the tables have become."""

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from delivery.database import PLANNED_ONCE
from runs import rows
from runs.models import Run, Step
from tests.factories import report, started_run
from tests.integration.test_queries import generic_plan
from webhooks_project.arrays import array

MORE_RUNS = """INSERT INTO runs_run
    SELECT (jsonb_populate_record(r, jsonb_build_object('id', 100000 + n, 'public_id', 'run_' || n))).*
    FROM runs_run r, generate_series(1, 20000) n"""
MORE_STEPS = """INSERT INTO runs_step
    SELECT (jsonb_populate_record(s, jsonb_build_object('id', 100000 + n, 'run_id', 100000 + n / 2,
                                                        'key', 'k' || n % 2, 'index', n % 2))).*
    FROM runs_step s, generate_series(2, 40001) n"""


@pytest.mark.parametrize("is_counted", [False, True])
def test_each_row_is_read_and_written_by_its_key(api: APIClient, is_counted: bool) -> None:
    made = started_run(api)["id"]
    report(api, made, "steps/one/start")
    run, step = Run.objects.get(), Step.objects.get()
    names = {"organizations": array([run.organization_id]), "public_ids": array([made])}
    changes = rows.written([run], ["id", *rows.RUN_CHANGES], "run_")
    changes |= rows.written([step], [*rows.NEW_STEP, *rows.STEP_CHANGES], "step_")

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {PLANNED_ONCE.removeprefix('SET ')}; {MORE_RUNS}; {MORE_STEPS}")
        if is_counted:
            cursor.execute("ANALYZE runs_run, runs_step")
        plans = [
            generic_plan(rows.HOLD, names),
            generic_plan(rows.STEPS, {"runs": array([run.pk]), "keys": array(["one"])}),
            generic_plan(rows.ALL_STEPS, {"runs": array([run.pk])}),
            generic_plan(rows.WRITE, changes),
        ]
        transaction.set_rollback(True)
    connection.close()

    for plan in plans:
        assert "Seq Scan on runs_run" not in plan, plan
        assert "Seq Scan on runs_step" not in plan, plan
        assert "Index Cond" in plan, plan
