"""The management commands as an operator runs them."""

import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from delivery import queue, requeue, services
from delivery.models import Delivery
from delivery.states import ENDED, Lane, State
from subscriptions.models import DEFAULT_SCOPES, ApiKey, Organization, Scope, Subscription
from tests.integration.conftest import CollectedWakeUps

Subscribe = Callable[..., Subscription]


def run(*arguments: str) -> tuple[str, str]:
    """What the command wrote to standard output and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def ended(organization: Organization, state: State = State.EXHAUSTED, **event: Any) -> Delivery:
    facts = {"event_type": "order.paid", "data": {}, "event_id": None} | event
    delivery = services.custom_event(organization=organization, **facts).deliveries.get()
    finished_at = timezone.now() if state in ENDED else None
    Delivery.objects.filter(id=delivery.id).update(state=state, finished_at=finished_at, next_attempt_at=None)
    return delivery


def replayed() -> set[UUID | None]:
    """The originals of all replays."""
    return {copy.replay_of_id for copy in Delivery.objects.exclude(replay_of=None)}


def test_create_api_key_prints_nothing_but_a_key_that_works() -> None:
    out, err = run("create_api_key", "--organization", "New", "--email", "ops@new.example", "--name", "ci")
    organization = Organization.objects.get(name="New")
    assert organization.contact_email == "ops@new.example"
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {out.removesuffix(chr(10))}")
    assert client.get("/v1/webhooks").status_code == 200
    assert "whsec_" in err
    assert out.strip() not in err
    assert ApiKey.objects.get().scopes == DEFAULT_SCOPES


def test_create_api_key_uses_an_organization_that_exists(organization: Organization) -> None:
    _, err = run("create_api_key", "--organization", organization.name, "--scopes", "all", "--signs")
    key = ApiKey.objects.get()
    assert (key.organization, key.scopes, key.signs) == (organization, list(Scope.values), True)
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scopes", "runs:read,nonsense"], "unknown nonsense; there are runs:write, "),
        (["--scopes", ","], "none named"),
        (["--email", "nonsense"], "--email"),
        (["--name", "x" * 256], "--name"),
    ],
)
def test_create_api_key_refuses_nonsense_and_leaves_nothing(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("create_api_key", "--organization", "New", *arguments)
    assert not Organization.objects.exists()


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
    Delivery.objects.filter(id=old.id).update(created_at=timezone.now() - timedelta(days=7))
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
    assert [line.split()[0] for line in examples] == [str(id_) for id_ in ids[:5]]
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
    ],
)
def test_replay_refuses_nonsense_naming_the_option(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("replay_deliveries", *arguments)


def test_an_interrupted_replay_says_what_was_done(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe()
    for _ in range(5):
        ended(organization)
    monkeypatch.setattr(services, "REPLAY_CHUNK_ROWS", 2)
    replay_many = services.replay_many

    def interrupted(chunk: list[Delivery]) -> Iterator[Delivery]:
        os.kill(os.getpid(), signal.SIGINT)
        return replay_many(chunk)

    monkeypatch.setattr(services, "replay_many", interrupted)
    out = io.StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("replay_deliveries", "--state", "exhausted", stdout=out)
    assert stopped.value.code == 130
    assert out.getvalue() == "interrupted; replayed 2 deliveries (0 not replayable)\n"
    assert len(replayed()) == 2


@contextmanager
def broker(monkeypatch: pytest.MonkeyPatch, depths: dict[Any, int] | None) -> Iterator[list[queue.WakeUp]]:
    sent: list[queue.WakeUp] = []
    monkeypatch.setattr(queue, "lane_depths", lambda: depths)
    monkeypatch.setattr(requeue, "lane_depths", lambda: depths)

    def send(batch: list[queue.WakeUp]) -> bool:
        sent.extend(batch)
        return True

    monkeypatch.setattr(queue, "send", send)
    yield sent


def test_requeue_wakes_everything_that_is_due(
    organization: Organization, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.REQUEUE_BATCH_ROWS = 2
    subscribe()
    due = [
        services.custom_event(organization=organization, event_type="order.paid", data={}, event_id=None)
        for _ in range(5)
    ]
    Delivery.objects.update(nudged_at=None)
    with broker(monkeypatch, dict.fromkeys(Lane, 0)) as sent:
        out, _ = run("requeue")
        assert out == "published 5 wake-ups\n"
        assert {wake_up.delivery_id for wake_up in sent} == {event.deliveries.get().id for event in due}
        assert run("requeue")[0] == "published 0 wake-ups\n"


def test_requeue_goes_on_until_nothing_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([3, 2, 0])
    monkeypatch.setattr(requeue, "requeue_once", lambda: next(looks))
    with broker(monkeypatch, dict.fromkeys(Lane, 0)):
        assert run("requeue")[0] == "published 5 wake-ups\n"


def test_requeue_fails_clearly_while_the_broker_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with broker(monkeypatch, None), pytest.raises(CommandError, match="the broker cannot be asked"):
        run("requeue")
