"""`manage.py replay_deliveries` as an operator runs it."""

import io
import os
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from delivery.custom_events import custom_event
from delivery.models import Delivery, Replay
from delivery.replays import chunks as replay_chunks
from delivery.replays import services as replays
from delivery.states import ENDED, State
from subscriptions.ids import first_uuid7
from subscriptions.models import Organization, Subscription
from tests.integration.conftest import CollectedWakeUps
from tests.integration.test_commands import run

Subscribe = Callable[..., Subscription]


def ended(organization: Organization, state: State = State.EXHAUSTED, **event: Any) -> Delivery:
    facts = {"event_type": "order.paid", "data": {}, "event_id": None} | event
    delivery = custom_event(organization=organization, **facts).deliveries.get()
    finished_at = timezone.now() if state in ENDED else None
    Delivery.objects.filter(id=delivery.id).update(state=state, finished_at=finished_at, next_attempt_at=None)
    return delivery


def replayed() -> set[UUID | None]:
    """The originals of all replays."""
    return {copy.replay_of_id for copy in Delivery.objects.exclude(replay_of=None)}


def test_replay_leaves_alone_what_was_delivered_or_has_not_ended(
    organization: Organization, subscribe: Subscribe, wake_ups: CollectedWakeUps
) -> None:
    subscribe()
    by_state = {state: ended(organization, state) for state in State}
    wake_ups.clear()
    out, err = run("replay_deliveries", "--event-type", "order.paid")
    assert out == "replayed 3 deliveries (0 not replayable)\n"
    assert err == ""
    assert replayed() == {by_state[state].id for state in (State.BLOCKED, State.CANCELLED, State.EXHAUSTED)}
    assert len(wake_ups) == 3
    assert run("replay_deliveries", "--state", "delivered")[0].startswith("replayed 1 delivery ")


@pytest.fixture
def three(organization: Organization, api: APIClient, subscribe: Subscribe) -> dict[str, Any]:
    """Exhausted: of one hook a run's event, of another a custom one, and one from last week."""
    of_runs = subscribe(events=["workflow.started"])
    of_orders = subscribe(events=["order.paid"])
    workflow = api.post("/v1/workflows", {"name": "w"}).data["id"]
    run_id = api.post("/v1/runs", {"workflow_id": workflow}).data["id"]
    old, order = ended(organization), ended(organization)
    api.post(f"/v1/runs/{run_id}/start")
    started = Delivery.objects.get(subscription=of_runs)
    Delivery.objects.update(state=State.EXHAUSTED, finished_at=timezone.now(), next_attempt_at=None)
    week_ago = timezone.now() - timedelta(days=7)
    # Its key tells its time, too.
    first = first_uuid7(int(week_ago.timestamp() * 1000))
    Delivery.objects.filter(id=old.id).update(id=first, created_at=week_ago)
    old.id = first
    return {"run": run_id, "hook": of_orders, "old": old, "order": order, "started": started}


def test_replay_filters_by_what_is_asked_and_combines_filters(
    organization: Organization,
    other_organization: Organization,
    three: dict[str, Any],
) -> None:
    yesterday = (timezone.now() - timedelta(days=1)).isoformat()
    expected = {
        ("--run", three["run"]): ["started"],
        ("--subscription", str(three["hook"].pk)): ["old", "order"],
        ("--subscription", str(three["hook"].pk), "--since", yesterday): ["order"],
        ("--until", yesterday): ["old"],
        ("--event-type", "workflow.started"): ["started"],
        ("--id", str(three["order"].id), str(three["old"].id)): ["old", "order"],
        ("--organization", organization.public_id): ["old", "order", "started"],
        ("--organization", organization.name, "--limit", "2"): ["old", "order"],
        ("--organization", other_organization.name): [],
    }
    for arguments, names in expected.items():
        run("replay_deliveries", *arguments)
        assert replayed() == {three[name].id for name in names}, arguments
        Delivery.objects.exclude(replay_of=None).delete()


def test_the_oldest_are_replayed_first(three: dict[str, Any], wake_ups: CollectedWakeUps) -> None:
    wake_ups.clear()
    run("replay_deliveries", "--state", "exhausted")
    last = Delivery.objects.get(id=wake_ups[-1].delivery_id)
    assert last.replay_of_id == three["started"].id


def test_replay_counts_what_cannot_be_replayed(organization: Organization, subscribe: Subscribe) -> None:
    subscription = subscribe()
    ended(organization)
    Subscription.objects.filter(pk=subscription.pk).update(is_active=False)
    out, _ = run("replay_deliveries", "--state", "exhausted")
    assert out == "replayed 0 deliveries (1 not replayable)\n"


def test_a_dry_run_names_examples_and_changes_nothing(
    organization: Organization, subscribe: Subscribe
) -> None:
    subscribe()
    ids = sorted(ended(organization).id for _ in range(7))
    out, _ = run("replay_deliveries", "--organization", organization.name, "--dry-run")
    *examples, total = out.splitlines()
    assert [line.split()[0] for line in examples[:5]] == [str(id_) for id_ in ids[:5]]
    assert examples[5:] == ["exhausted: 7"]
    assert total == "would replay 7 deliveries (0 not replayable)"
    assert replayed() == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "5"], "at least one filter"),
        (["--id", "nonsense"], "--id"),
        (["--id", "01900000-0000-7000-8000-000000000000"], "--id: no delivery"),
        (["--subscription", "x"], "--subscription"),
        (["--subscription", "9" * 5000], "--subscription"),
        (["--event-type", "workflow.complete"], "--event-type"),
        (["--state", "pending"], "--state"),
        (["--organization", "nobody"], "--organization"),
        (["--since", "yesterday"], "--since"),
        (["--since", "2026-01-02", "--until", "2026-01-01"], "--until"),
        (["--state", "exhausted", "--limit", "0"], "--limit"),
        (["--state", "exhausted", "--rate", "fast"], "--rate"),
        (["--state", "exhausted", "--rate", "0"], "rate_per_second must be from"),
        (["--state", "exhausted", "--rate", "nan"], "rate_per_second must be from"),
        (["--state", "exhausted", "--key", ""], "--key"),
        (["--answer", "200"], "--answer"),
        (["--resume", "nonsense"], "--resume: no replay"),
        (["--resume", "01900000-0000-7000-8000-000000000000"], "--resume: no replay"),
        (["--resume", "01900000-0000-7000-8000-000000000000", "--run", "r"], "take the other options away"),
    ],
)
def test_replay_refuses_nonsense_naming_the_option(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("replay_deliveries", *arguments)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def interrupt_after(chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of that chunk; the rate never makes anyone wait."""
    advance = replay_chunks.advance
    done = 0

    def interrupted(replay_id: UUID) -> bool:
        nonlocal done
        Replay.objects.update(next_chunk_at=timezone.now() - timedelta(hours=1))
        done += 1
        if done == chunks:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(replay_id)

    monkeypatch.setattr(replay_chunks, "advance", interrupted)


def test_who_interrupts_leaves_it_paused_and_is_told_how_to_go_on(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    rows = {ended(organization).id for _ in range(5)}
    interrupt_after(1, monkeypatch)
    out = io.StringIO()

    with pytest.raises(SystemExit) as stopped:
        call_command("replay_deliveries", "--state", "exhausted", "--rate", "2", stdout=out)

    replay = Replay.objects.get()
    assert stopped.value.code == 130
    assert (replay.state, replay.replayed) == ("paused", 2)
    assert out.getvalue() == (
        "interrupted; replayed 2 deliveries (0 not replayable)\n"
        f"go on: manage.py replay_deliveries --resume {replay.pk}\n"
    )
    interrupt_after(0, monkeypatch)
    assert run("replay_deliveries", "--resume", str(replay.pk)) == (
        "replayed 5 deliveries (0 not replayable)\n",
        "",
    )
    assert replayed() == rows
    assert Delivery.objects.exclude(replay_of=None).count() == 5


def test_the_same_key_goes_on_with_the_first_replay_and_then_only_reports_it(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    rows = {ended(organization).id for _ in range(3)}
    command = ("replay_deliveries", "--state", "exhausted", "--rate", "1", "--key", "outage")
    interrupt_after(2, monkeypatch)
    with pytest.raises(SystemExit):
        run(*command)
    ended(organization)  # came later, so it is no part of it
    interrupt_after(0, monkeypatch)

    results = [run(*command)[0] for _ in range(2)]

    assert results == ["replayed 3 deliveries (0 not replayable)\n"] * 2
    assert replayed() == rows
    with pytest.raises(CommandError, match="was used for another replay"):
        run("replay_deliveries", "--state", "blocked", "--key", "outage")


def test_what_was_cancelled_by_others_cannot_be_resumed(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    for _ in range(3):
        ended(organization)
    advance = replay_chunks.advance

    def cancelled_meanwhile(replay_id: UUID) -> bool:
        done = advance(replay_id)
        replays.replay_cancel(Replay.objects.get(pk=replay_id))
        return done

    monkeypatch.setattr(replay_chunks, "advance", cancelled_meanwhile)
    with pytest.raises(CommandError, match=r"is cancelled; replayed 1 delivery"):
        run("replay_deliveries", "--state", "exhausted", "--rate", "1")
    with pytest.raises(CommandError, match="is cancelled; replayed 1 delivery"):
        run("replay_deliveries", "--resume", str(Replay.objects.get().pk))


def test_a_terminal_shows_how_far_it_is_and_a_pipe_one_line(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    for _ in range(3):
        ended(organization)
    interrupt_after(0, monkeypatch)
    out, err = io.StringIO(), Terminal()

    call_command("replay_deliveries", "--state", "exhausted", "--rate", "2", stdout=out, stderr=err)

    first, *_, last = err.getvalue().strip("\r\n").split("\r")
    assert first.startswith("replayed 2, looked at 2 of 3, 0:00:0")
    assert first.rstrip().endswith("left")
    assert last.startswith("replayed 3, looked at 3 of 3, 0:00:00 left")
    assert out.getvalue() == "replayed 3 deliveries (0 not replayable)\n"


def test_a_dry_run_counts_by_state_and_says_why_not(organization: Organization, subscribe: Subscribe) -> None:
    subscribe()
    ended(organization, State.BLOCKED)
    ended(organization)
    delivered = ended(organization)
    copy = replays.replay(organization=organization, delivery_id=delivered.id)
    Delivery.objects.filter(id=copy.id).update(
        state=State.DELIVERED, finished_at=timezone.now(), next_attempt_at=None
    )

    out, _ = run("replay_deliveries", "--organization", organization.name, "--dry-run")

    assert out.splitlines()[2:] == [
        "blocked: 1",
        "exhausted: 1",
        "not replayable, delivered_since: 1",
        "would replay 2 deliveries (1 not replayable)",
    ]
    asked, _ = run(
        *("replay_deliveries", "--organization", organization.name),
        *("--state", "exhausted", "--include-delivered", "--dry-run"),
    )
    assert asked.splitlines()[-1] == "would replay 2 deliveries (0 not replayable)"
    assert not Replay.objects.exists()
