"""What is deleted by its age, and what never is."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from delivery.fan_out.model import FanOut
from delivery.models import Attempt, BodiesMark, Delivery, Event, EventBody, Replay, StatsMark
from delivery.replays import services as replays
from delivery.retention import selectors
from delivery.retention.prune import prune_for_a_while
from delivery.states import OPEN, State
from delivery.tasks import prune
from runs.models import Run
from runs.resend import resend_callback
from subscriptions import notices
from subscriptions.audit_entry import AuditEntry
from subscriptions.models import Notice, Organization, Subscription
from subscriptions.services import subscription_create
from tests.factories import answer, completed_run, deliveries, refusal, row_counts
from tests.integration.aged import aged, counted, long_ago, pruned
from tests.integration.test_commands import run
from tests.integration.test_outbox import CALLBACK, happen
from tests.receiver import Receiver
from webhooks_project.errors import InvalidInput

Subscribe = Callable[..., Subscription]
TABLES = (Event, EventBody, Delivery, Attempt)


@pytest.fixture
def subscription(subscribe: Subscribe) -> Subscription:
    return subscribe()


def rows() -> list[int]:
    """Of events, bodies, deliveries, attempts."""
    return [table._default_manager.count() for table in TABLES]


def test_an_event_goes_with_all_that_belongs_to_it_and_a_younger_one_stays(
    organization: Organization, subscription: Subscription, subscribe: Subscribe
) -> None:
    subscribe(payload_format="standard")
    nobody_asked = aged(organization, 91, event_type="subscription.disabled")
    for days in (91, 400):
        aged(organization, days)
    young = aged(organization, 89)
    assert (nobody_asked.recipients, rows()) == (0, [4, 6, 6, 12])

    tally = pruned()

    assert tally.deleted == {"attempts": 8, "deliveries": 4, "bodies": 4, "events": 3}
    assert tally.is_done
    assert list(Event.objects.values_list("pk", flat=True)) == [young.pk]
    assert rows() == [1, 2, 2, 4]
    assert pruned().deleted.total() == 0


@pytest.mark.parametrize("state", sorted(OPEN | {State.HELD}))
def test_what_has_not_ended_stays_with_all_that_belongs_to_its_event(
    organization: Organization, subscription: Subscription, settings: Settings, state: State
) -> None:
    settings.BODIES_RETENTION_DAYS = settings.ATTEMPTS_RETENTION_DAYS = 10
    ended = aged(organization, 400, callback=CALLBACK)
    aged(organization, 400, state=state)
    Delivery.objects.filter(event=ended, subscription=None).update(
        state=state, finished_at=None, next_attempt_at=None
    )
    live = Delivery.objects.filter(finished_at=None)

    pruned()

    assert live.count() == 2
    assert all(delivery.kept_body() is not None for delivery in live)
    assert Attempt.objects.filter(delivery__in=live).count() == 4
    # The other delivery of that event stays, too, without its log.
    assert rows() == [2, 3, 3, 4]


def test_an_old_event_that_was_sent_again_lately_stays(
    organization: Organization, subscription: Subscription
) -> None:
    old = aged(organization, 91).deliveries.get()
    copy = replays.replay(organization=organization, delivery_id=old.pk)
    Delivery.objects.filter(pk=copy.pk).update(state=State.EXHAUSTED, finished_at=timezone.now())

    assert pruned().deleted.total() == 0
    assert Delivery.objects.get(pk=copy.pk).replay_of_id == old.pk


def test_an_event_that_is_not_told_to_all_yet_stays(
    organization: Organization, subscription: Subscription
) -> None:
    event = aged(organization, 91)
    FanOut.objects.create(event=event, payload_format="standard", subscription_ids=[1])

    assert pruned().deleted.total() == 0


def test_an_organizations_own_days_count_for_it_alone(
    organization: Organization, other_organization: Organization, settings: Settings
) -> None:
    """0 is for ever, whatever the settings say."""
    eternal = Organization.objects.create(name="Eternal", events_retention_days=0, bodies_retention_days=0)
    Organization.objects.filter(pk=other_organization.pk).update(events_retention_days=30)
    settings.ATTEMPTS_RETENTION_DAYS = 0
    for owner in (organization, other_organization, eternal):
        happened = {"url": "https://hooks.example.com/", "name": "x", "events": ["*"]}
        subscription_create(organization=owner, values=happened)
        for days in (31, 500):
            aged(owner, days)

    pruned()

    left = {
        owner.name: Event.objects.filter(organization=owner).count() for owner in Organization.objects.all()
    }
    assert left == {"Acme": 1, "Other": 0, "Eternal": 2}
    assert Attempt.objects.filter(organization=eternal).count() == 4


def test_attempts_may_go_sooner_and_their_delivery_still_tells_how_many_there_were(
    api: APIClient,
    admin_client: Client,
    organization: Organization,
    subscription: Subscription,
    settings: Settings,
) -> None:
    settings.ATTEMPTS_RETENTION_DAYS = 30
    old, young = (aged(organization, days).deliveries.get() for days in (31, 29))

    assert pruned().deleted == {"attempts": 2}

    told = answer(api.get(f"/v1/deliveries/{old.pk}"))
    assert (told["attempts"], told["attempt_log"], told["body_kept"]) == (2, [], True)
    assert len(answer(api.get(f"/v1/deliveries/{young.pk}"))["attempt_log"]) == 2
    page = admin_client.get(f"/admin/delivery/delivery/{old.pk}/change/").content.decode()
    assert "2 were made; their log is no longer kept" in page


def test_bodies_may_go_sooner_and_their_deliveries_say_so(
    api: APIClient,
    admin_client: Client,
    organization: Organization,
    subscription: Subscription,
    settings: Settings,
) -> None:
    settings.BODIES_RETENTION_DAYS = 30
    old, young = (aged(organization, days, state=State.EXHAUSTED).deliveries.get() for days in (31, 29))

    pruned()

    assert rows() == [2, 1, 2, 4]
    kept = {delivery["id"]: delivery["body_kept"] for delivery in deliveries(api)}
    assert kept == {str(old.pk): False, str(young.pk): True}
    page = admin_client.get(f"/admin/delivery/delivery/{old.pk}/change/").content.decode()
    assert "Its body is no longer kept" in page
    assert 'value="replay"' not in page
    assert admin_client.get(f"/admin/delivery/delivery/{old.pk}/body/").status_code == 404
    export = b"".join(admin_client.get("/admin/delivery/delivery/export/jsonl/").streaming_content)  # type: ignore[attr-defined]
    assert str(old.pk).encode() in export


def test_what_the_statistics_have_not_counted_stays(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.ATTEMPTS_RETENTION_DAYS = 30
    for days in (91, 31):
        aged(organization, days)
    StatsMark.objects.all().delete()
    assert pruned().deleted.total() == 0
    assert "0 attempts, 0 bodies, 0 deliveries, 0 events" in run("prune", "--dry-run")[0]

    counted(timezone.now() - timedelta(days=60))
    assert pruned().deleted == {"attempts": 2, "deliveries": 1, "bodies": 1, "events": 1}
    assert rows() == [1, 1, 1, 2]

    counted()
    assert pruned().deleted == {"attempts": 2}


def test_an_event_stays_while_an_attempt_that_came_late_is_not_counted(
    organization: Organization, subscription: Subscription
) -> None:
    delivery = aged(organization, 91).deliveries.get()
    late = delivery.attempt_log.latest("id")
    Attempt.objects.filter(pk=late.pk).update(late=True, created_at=timezone.now())
    counted(timezone.now() - timedelta(minutes=1))

    assert pruned().deleted.total() == 0

    counted()
    pruned()
    assert rows() == [0, 0, 0, 0]


def test_without_its_body_nothing_is_replayed(
    api: APIClient, organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.BODIES_RETENTION_DAYS = 30
    old = aged(organization, 31, state=State.EXHAUSTED).deliveries.get()
    pruned()

    refused = refusal(api.post(f"/v1/deliveries/{old.pk}/replay"), 409, "not_replayable")

    assert refused["detail"] == "its body is no longer kept"
    forecast = answer(api.post("/v1/replays", {"states": ["exhausted"], "dry_run": True}))
    assert (forecast["replayable"], forecast["skipped"]) == (0, {"body_pruned": 1})
    assert replays.replay_chosen([old]) == {old.pk: "its body is no longer kept"}
    assert Delivery.objects.count() == 1


def test_a_runs_webhook_without_its_body_is_not_sent_again_with_other_bytes(
    api: APIClient, organization: Organization, receiver: Receiver, settings: Settings
) -> None:
    settings.BODIES_RETENTION_DAYS = 30
    with long_ago(31):
        ended = Run.objects.get(public_id=completed_run(api, webhook_url=receiver.url())["id"])
    Delivery.objects.update(state=State.EXHAUSTED, finished_at=timezone.now(), next_attempt_at=None)
    resend_callback(ended, timeout_seconds=1.0)
    Delivery.objects.update(state=State.EXHAUSTED, finished_at=timezone.now(), next_attempt_at=None)
    pruned()

    with pytest.raises(InvalidInput, match="what was sent is no longer kept"):
        resend_callback(ended, timeout_seconds=1.0)


def test_events_whose_bodies_are_gone_are_not_looked_at_again(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    """But one whose delivery had not ended is, until it has."""
    settings.BODIES_RETENTION_DAYS, settings.RETENTION_BATCH_ROWS = 30, 1
    events = [aged(organization, days) for days in (40, 39, 38)]
    live = events[1].deliveries.get()
    Delivery.objects.filter(pk=live.pk).update(state=State.WAITING, finished_at=None)

    pruned()

    assert BodiesMark.objects.get().up_to == events[0].pk
    assert live.kept_body() is not None
    Delivery.objects.filter(pk=live.pk).update(state=State.EXHAUSTED, finished_at=timezone.now())
    pruned()
    assert BodiesMark.objects.get().up_to == events[2].pk
    assert EventBody.objects.count() == 0


def test_old_mails_and_replays_go_and_what_runs_stays(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    with long_ago(91):
        done, running = (
            answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)["id"] for _ in range(2)
        )
    notices.add(organization, subject="Old", text="x")
    notices.add(organization, subject="New", text="x")
    then = timezone.now() - timedelta(days=91)
    Notice.objects.filter(subject="Old").update(created_at=then)
    Replay.objects.filter(pk=done).update(state="done", finished_at=then)

    deleted = pruned().deleted

    assert (deleted["notices"], deleted["replays"]) == (1, 1)
    assert [str(replay.pk) for replay in Replay.objects.all()] == [running]
    assert Notice.objects.get().subject == "New"


def test_beat_has_it_done(organization: Organization, subscription: Subscription) -> None:
    aged(organization, 91)
    happen(organization)

    prune()

    assert rows() == [1, 1, 1, 0]
    ages = selectors.ages()
    assert ages is not None
    assert ages.done is not None
    assert ages.ended == ages.done < 60


def test_a_pass_that_does_not_get_through_is_noted_as_such(
    organization: Organization, subscription: Subscription
) -> None:
    aged(organization, 91)
    prune()

    prune_for_a_while(lambda: True)

    ages = selectors.ages()
    assert ages is not None
    assert ages.done is not None
    assert ages.ended < ages.done


# --- Days of an organization ---


def change(client: Client, organization: Organization, **values: Any) -> Any:
    page = f"/admin/subscriptions/organization/{organization.pk}/change/"
    return client.post(page, {"name": organization.name, "contact_email": ""} | values)


def test_the_admin_sets_an_organizations_days_and_the_audit_knows(
    admin_client: Client, organization: Organization
) -> None:
    change(admin_client, organization, bodies_retention_days=0, events_retention_days=30)

    organization.refresh_from_db()
    days = (organization.attempts_retention_days, organization.bodies_retention_days)
    assert (*days, organization.events_retention_days) == (None, 0, 30)
    entry = AuditEntry.objects.get(action="organization.updated")
    assert entry.after["events_retention_days"] == 30


@pytest.mark.parametrize("field", ["attempts_retention_days", "events_retention_days"])
def test_days_by_which_subscriptions_could_not_be_judged_are_refused(
    admin_client: Client, organization: Organization, field: str
) -> None:
    before = row_counts()

    page = change(admin_client, organization, **{field: 5})

    assert page.context["adminform"].form.errors.keys() == {field}
    assert row_counts() == before


def test_nothing_goes_where_the_settings_keep_everything(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    settings.ATTEMPTS_RETENTION_DAYS = settings.BODIES_RETENTION_DAYS = settings.EVENTS_RETENTION_DAYS = 0
    aged(organization, 4000)

    run("prune")

    assert rows() == [1, 1, 1, 2]
