"""New runs, many in one statement; and the workflows that calls name for them."""

from collections.abc import Collection, Sequence

from runs import rows
from runs.models import Run, Workflow, WorkflowVersion
from webhooks_project.arrays import array
from webhooks_project.statements import Statement

# What tells a workflow from all others: the organization, and the id that it has there.
WorkflowName = tuple[int, str]

# The columns of a new run, with their types; the database gives the others.
COLUMNS = {
    **dict.fromkeys("organization_id workflow_id version_id parent_id api_key_id".split(), "bigint"),
    **dict.fromkeys("public_id external_id status progress executor_id webhook_url kind".split(), "text"),
    **dict.fromkeys("encrypted_webhook_url encrypted_webhook_secret".split(), "text"),
    **dict.fromkeys("input request output error artifacts".split(), "text"),
    "reports": "jsonb",
    "bulk_id": "uuid",
    **dict.fromkeys("created_at started_at ended_at".split(), "timestamptz"),
}

# An id that is taken is no error here: others of the same statement are to be stored.
INSERT = Statement(
    "runhooks_new_runs",
    f"""
INSERT INTO runs_run ({rows.named(COLUMNS)})
SELECT {rows.cast(COLUMNS)} FROM unnest({rows.unnested(COLUMNS)}) AS given ({rows.named(COLUMNS)})
ON CONFLICT DO NOTHING
RETURNING id, organization_id, public_id, updated_at
""",  # noqa: S608 - names of our own table and columns
)

WORKFLOWS = Statement(
    "runhooks_workflows",
    f"""
SELECT runs_workflow.*, runs_workflowversion.*
FROM unnest(%(organizations)s::bigint[], %(public_ids)s::text[]) AS asked (organization_id, public_id)
CROSS JOIN LATERAL (
    SELECT {rows.columns(Workflow)} FROM runs_workflow
    WHERE organization_id = asked.organization_id AND public_id = asked.public_id LIMIT 1
) AS runs_workflow
CROSS JOIN LATERAL (
    SELECT {rows.columns(WorkflowVersion)} FROM runs_workflowversion
    WHERE id = runs_workflow_version_id LIMIT 1
) AS runs_workflowversion
""",  # noqa: S608 - names of our own tables and columns
)


def insert(runs: Sequence[Run]) -> list[Run]:
    """Those that were stored, with what the database has given them."""
    given = {
        (row["organization_id"], row["public_id"]): row for row in INSERT.run(rows.written(runs, COLUMNS))
    }
    made = []
    for run in runs:
        row = given.pop((run.organization_id, run.public_id), None)
        if row is not None:
            run.pk, run.updated_at = row["id"], row["updated_at"]
            run._state.adding = False
            made.append(run)
    return made


def workflows(names: Collection[WorkflowName]) -> dict[WorkflowName, Workflow]:
    """Those of these names, with the versions for new runs; what does not exist is missing."""
    organizations, public_ids = zip(*set(names), strict=True)
    found = {}
    for row in WORKFLOWS.run({"organizations": array(organizations), "public_ids": array(public_ids)}):
        workflow = rows.read(Workflow, row)
        workflow.version = rows.read(WorkflowVersion, row)
        found[workflow.organization_id, workflow.public_id] = workflow
    return found
