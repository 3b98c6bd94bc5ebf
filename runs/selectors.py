"""Reads. Each starts from the organization."""

from django.db.models import Q, QuerySet

from runs.models import Run, Workflow
from runs.states import UNENDED
from subscriptions.models import Organization
from webhooks_project.errors import NotFound

# UNION drops what was found before, so even a ring, which no caller can make, would end it.
_UNENDED_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT id FROM runs_run WHERE parent_id = %(run)s
    UNION
    SELECT run.id FROM runs_run run JOIN below ON run.parent_id = below.id
)
SELECT id, public_id FROM runs_run
WHERE id IN (SELECT id FROM below) AND status = ANY(%(unended)s)
ORDER BY id
"""


def workflows(organization: Organization) -> QuerySet[Workflow]:
    """The organization's workflows, newest first."""
    rows = Workflow.objects.filter(organization=organization).select_related("version")
    return rows.order_by("-created_at", "-id")


def workflow_get(organization: Organization, workflow_id: str, *, lock: bool = False) -> Workflow:
    """Raises NotFound, also for what belongs to another organization."""
    rows = workflows(organization)
    if lock:
        # Without the join: after a wait for the lock it would look for the new version's row in the
        # statement's old snapshot, and find none.
        rows = rows.select_related(None).select_for_update()
    workflow = rows.filter(public_id=workflow_id).first()
    if workflow is None:
        raise NotFound(f"Workflow {workflow_id} not found in organization {organization.public_id}")
    return workflow


def workflow_named(organization: Organization, name: str, *, dialect: str) -> Workflow:
    """The dialect's workflow of this id or slug. Raises NotFound.

    The id wins: else a slug could take over the calls that are meant for another workflow.
    """
    rows = workflows(organization).filter(Q(public_id=name) | Q(slug=name), dialect=dialect)
    workflow = max(rows, key=lambda row: row.public_id == name, default=None)
    if workflow is None:
        raise NotFound(f"Workflow {name} not found")
    return workflow


def run_of_dialect(organization: Organization, run_id: str, *, dialect: str) -> Run:
    """Raises NotFound, also for a run of another dialect."""
    run = run_get(organization, run_id)
    if run.workflow.dialect != dialect:
        raise NotFound(f"Run {run_id} not found")
    return run


def runs(organization: Organization) -> QuerySet[Run]:
    """The organization's runs, newest first."""
    rows = Run.objects.filter(organization=organization)
    return rows.select_related("workflow", "version", "organization").order_by("-id")


def run_get(organization: Organization, run_id: str) -> Run:
    """Raises NotFound, also for what belongs to another organization."""
    run = runs(organization).filter(public_id=run_id).first()
    if run is None:
        raise NotFound(f"Run {run_id} not found in organization {organization.public_id}")
    return run


def unended_below(run: Run) -> list[Run]:
    """The runs that it started, and those that they started, as deep as it goes; the oldest first.

    A parent is named when a run is made and never after, so that it is older than all below it.
    """
    values = {"run": run.pk, "unended": sorted(UNENDED)}
    return list(Run.objects.raw(_UNENDED_BELOW, values))
