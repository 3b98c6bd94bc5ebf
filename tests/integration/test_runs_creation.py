"""runs/creation.py as its other callers use it: what the APIs' own field rules have not seen to before."""

import pytest

from runs.creation import NewRun, run_create
from runs.services import workflow_create
from subscriptions.models import Organization


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), (" \n\t", ""), (" https://example.com/own \n", "https://example.com/own")],
)
@pytest.mark.parametrize("dialect", ["elan", "leap", "leaperone", "eachlabs"])
def test_a_url_of_blanks_is_none(dialect: str, given: str, kept: str, organization: Organization) -> None:
    workflow = workflow_create(organization=organization, name="Cats", dialect=dialect, values={})

    run, _ = run_create(organization=organization, new=NewRun(workflow=workflow, webhook_url=given))

    assert run.webhook_url == kept
