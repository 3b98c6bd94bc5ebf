"""`manage.py prune` as an operator runs it."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError
from django.db import connection, connections
from pytest_django import Settings

from delivery.management.commands import prune as command
from delivery.models import Event
from delivery.retention import preview
from delivery.retention.prune import ADVISORY_LOCK, prune
from delivery.states import State
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Organization, Subscription
from tests.factories import row_counts
from tests.integration.aged import aged
from tests.integration.test_commands import run

Subscribe = Callable[..., Subscription]


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe()


def test_a_dry_run_says_by_organization_what_would_go_and_changes_nothing(
    organization: Organization, other_organization: Organization, subscription: Subscription
) -> None:
    aged(organization, 91)
    aged(organization, 91, state=State.HELD)
    aged(organization, 89)
    aged(other_organization, 91)
    before = row_counts()

    out, err = run("prune", "--dry-run")

    rows = "notices, 0 replays"
    assert out.splitlines() == [
        f"Acme ({organization.public_id}): 2 attempts, 1 bodies, 1 deliveries, 1 events, 0 {rows}",
        f"Other ({other_organization.public_id}): 0 attempts, 0 bodies, 0 deliveries, 1 events, 0 {rows}",
        f"would delete 2 attempts, 1 bodies, 1 deliveries, 2 events, 0 {rows}; "
        "at 2000 rows a second in 0:00:01",
    ]
    assert err == ""
    assert row_counts() == before
    assert run("prune") == (f"deleted 2 attempts, 1 bodies, 1 deliveries, 2 events, 0 {rows}\n", "")


@pytest.mark.parametrize(
    ("attempts", "bodies", "events"), [(10, 20, 90), (10, 20, 0), (0, 0, 90), (30, 95, 90)]
)
def test_the_preview_is_what_goes(
    organization: Organization,
    subscription: Subscription,
    settings: Settings,
    attempts: int,
    bodies: int,
    events: int,
) -> None:
    settings.ATTEMPTS_RETENTION_DAYS, settings.BODIES_RETENTION_DAYS = attempts, bodies
    settings.EVENTS_RETENTION_DAYS = events
    for days in (5, 15, 25, 60, 91, 100):
        aged(organization, days)
        aged(organization, days, state=State.WAITING)

    expected = run("prune", "--dry-run")[0].splitlines()[-1]
    deleted = run("prune")[0].strip()

    assert expected.partition(";")[0] == deleted.replace("deleted", "would delete")


def test_a_count_goes_no_further_than_its_bound(
    organization: Organization, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "COUNT_MAX_ROWS", 3)
    monkeypatch.setattr(command, "COUNT_MAX_ROWS", 3)
    for _ in range(5):
        aged(organization, 91)

    assert "3 or more events" in run("prune", "--dry-run")[0]


def test_older_than_spares_an_organization_with_days_of_its_own_unless_it_is_named(
    organization: Organization, other_organization: Organization
) -> None:
    Organization.objects.filter(pk=other_organization.pk).update(events_retention_days=0)
    for owner in (organization, other_organization):
        aged(owner, 31)

    run("prune", "--older-than", "30")
    assert [event.organization_id for event in Event.objects.all()] == [other_organization.pk]
    run("prune", "--older-than", "30", "--organization", "Other")

    assert not Event.objects.exists()
    entries = AuditEntry.objects.filter(action="retention.pruned").order_by("id")
    assert [(entry.actor, entry.object_id, entry.after) for entry in entries] == [
        ("prune", "all", {"days": 30}),
        ("prune", other_organization.public_id, {"days": 30}),
    ]


def test_only_the_named_organization_is_pruned(
    organization: Organization, other_organization: Organization
) -> None:
    for owner in (organization, other_organization):
        aged(owner, 91)

    run("prune", "--organization", organization.public_id)

    assert [event.organization_id for event in Event.objects.all()] == [other_organization.pk]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--organization", "nonsense"], "--organization: no organization 'nonsense'"),
        (["--older-than", "0"], "--older-than: '0' is not a whole number of days"),
        (["--older-than", "1.5"], "--older-than"),
        (["--rate", "0"], "--rate: '0' is not a number above 0"),
        (["--rate", "fast"], "--rate: 'fast' is not a number"),
    ],
)
def test_nonsense_is_refused_and_nothing_is_deleted(
    organization: Organization, arguments: list[str], message: str
) -> None:
    aged(organization, 91)

    with pytest.raises(CommandError, match=message):
        run("prune", *arguments)

    assert Event.objects.count() == 1


def test_ctrl_c_ends_it_between_two_batches_and_the_next_call_goes_on(
    organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RETENTION_BATCH_ROWS = 1
    for _ in range(3):
        aged(organization, 91)

    def interrupted(wanted: object, pace: object, progress: object) -> object:
        return prune(wanted, pace, lambda tally: os.kill(os.getpid(), signal.SIGINT))  # type: ignore[arg-type]

    monkeypatch.setattr(command, "prune", interrupted)
    with pytest.raises(SystemExit) as ended:
        run("prune")
    monkeypatch.undo()

    assert ended.value.code == 130
    assert Event.objects.count() == 2
    assert "2 events" in run("prune")[0]


def test_a_second_one_says_that_another_is_at_work(organization: Organization) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: locked(ADVISORY_LOCK)).result(30)

        with pytest.raises(CommandError, match="another process prunes"):
            run("prune")

        pool.submit(connections.close_all).result(30)
    assert run("prune")[0].startswith("deleted 0 attempts")


def locked(key: int) -> None:
    """Until its thread's connection ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [key])
