"""manage.py stats."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from subscriptions.models import Organization
from tests.counted import FAILED, attempted, count


def stats(*args: str) -> str:
    out = StringIO()
    call_command("stats", *args, stdout=out)
    return out.getvalue()


def as_json(*args: str) -> Any:
    return json.loads(stats("--json", *args))


@pytest.fixture(autouse=True)
def some_attempts(organization: Organization) -> None:
    past = timezone.now() - timedelta(minutes=20)
    attempted(3, at=past, organization_id=organization.pk, waited_ms=40.0)
    attempted(1, at=past, organization_id=organization.pk + 1, **FAILED)
    count()


def test_it_prints_a_line_for_each_step_with_attempts_and_one_of_all_together() -> None:
    heading, step, together, until = stats("--span", "hour").splitlines()

    assert heading.split()[:4] == ["since", "(UTC)", "attempts", "delivered"]
    assert together.split()[:5] == ["together", "4", "3", "1", "75"]
    assert together.endswith("2xx 3, 5xx 1")
    assert step.split()[2:] == together.split()[1:]
    assert until.startswith("counted up to ")


def test_for_programs_it_has_every_step() -> None:
    found = as_json("--span", "hour")

    assert len(found["steps"]) == 60
    assert sum(step["attempts"] for step in found["steps"]) == found["total"]["attempts"] == 4
    assert found["total"]["answers"] == {"2xx": 3, "5xx": 1}
    assert found["total"]["success_rate"] == 0.75
    assert found["counted_until"]


def test_of_one_organization(organization: Organization) -> None:
    by_id = as_json("--organization", organization.public_id)
    by_name = as_json("--organization", organization.name)

    assert by_id["total"]["attempts"] == by_name["total"]["attempts"] == 3


def test_what_it_cannot_tell_is_named(organization: Organization) -> None:
    with pytest.raises(CommandError, match="--organization: there is none"):
        stats("--organization", "nobody")
    with pytest.raises(CommandError, match="--span: organizations are counted by the hour"):
        stats("--organization", organization.public_id, "--span", "hour")
