"""`/v1/replays`: start, look, pause, resume, cancel."""

from contextlib import suppress
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery.models import Delivery, Replay
from delivery.replays import chunks as replay_chunks
from delivery.replays import services as replays
from delivery.replays.filter import ReplayFilter
from delivery.replays.plan import NewReplay, TooManyToCount
from delivery.states import State
from subscriptions.models import Organization, Scope, Subscription
from tests.factories import Json, answer, at_once, refusal, row_counts
from tests.integration.conftest import client_for
from tests.integration.test_replay import end, ended, pass_time, replayed, start, subscription, through
from webhooks_project.errors import Conflict

__all__ = ["subscription"]

FAILED = {"states": ["exhausted"]}


def shown(api: APIClient, replay: Json) -> Json:
    found: Json = answer(api.get(f"/v1/replays/{replay['id']}"))
    return found


def move(api: APIClient, replay: Json, name: str) -> Json:
    found: Json = answer(api.post(f"/v1/replays/{replay['id']}/{name}"))
    return found


def test_a_replay_is_started_watched_and_done(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    since = "2026-01-01T00:00:00Z"

    made = answer(
        api.post("/v1/replays", FAILED | {"since": since, "rate_per_second": 2, "replay_key": "k"}), 202
    )

    assert made["filter"] == {"states": ["exhausted"], "since": "2026-01-01T00:00:00+00:00"}
    assert (made["state"], made["matched"], made["examined"], made["replayed"]) == ("running", 3, 0, 0)
    assert (made["rate_per_second"], made["replay_key"], made["finished_at"]) == (2.0, "k", None)
    replay_chunks.carry_on()
    assert shown(api, made)["replayed"] == 2
    pass_time(1)
    replay_chunks.carry_on()
    done = shown(api, made)
    assert (done["state"], done["replayed"], done["skipped"]) == ("done", 3, {})
    assert done["finished_at"] is not None
    assert [each["id"] for each in answer(api.get("/v1/replays"))["replays"]] == [made["id"]]


def test_a_dry_run_counts_and_stores_nothing(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    one, *_ = ended(organization, State.EXHAUSTED, State.EXHAUSTED, State.BLOCKED, State.DELIVERED)
    end(replays.replay(organization=organization, delivery_id=one.pk), state=State.DELIVERED)
    counts = row_counts()

    told = answer(api.post("/v1/replays", {"subscription_id": subscription.pk, "dry_run": True}))

    assert told == {
        "matched": 3,
        "replayable": 2,
        "by_state": {"blocked": 1, "exhausted": 1},
        "skipped": {"delivered_since": 1},
    }
    assert row_counts() == counts


def test_the_same_key_answers_with_the_first_replay(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    ended(organization)
    body = FAILED | {"replay_key": "outage-7"}
    first = answer(api.post("/v1/replays", body), 202)
    through(Replay.objects.get())

    again = answer(api.post("/v1/replays", body), 200)

    assert (again["id"], again["state"]) == (first["id"], "done")
    refusal(api.post("/v1/replays", body | {"states": ["blocked"]}), 409, "replay_key_taken", "replay_key")
    assert Replay.objects.count() == 1


def test_the_same_key_at_once_makes_one(organization: Organization, subscription: Subscription) -> None:
    ended(organization)
    clients = [client_for(organization) for _ in range(5)]

    answers = at_once(
        *[
            lambda client=client: client.post("/v1/replays", FAILED | {"replay_key": "k"})
            for client in clients
        ]
    )

    assert sorted(each.status_code for each in answers) == [200, 200, 200, 200, 202]
    assert len({each.data["id"] for each in answers}) == 1


def test_a_paused_replay_rests_until_it_is_resumed(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    rows = ended(organization, *[State.EXHAUSTED] * 3)
    made = answer(api.post("/v1/replays", FAILED | {"rate_per_second": 1}), 202)
    replay_chunks.carry_on()

    assert [move(api, made, "pause")["state"] for _ in range(2)] == ["paused", "paused"]
    pass_time(3600)
    replay_chunks.carry_on()
    assert len(replayed()) == 1

    assert [move(api, made, "resume")["state"] for _ in range(2)] == ["running", "running"]
    through(Replay.objects.get())
    assert replayed() == sorted(row.pk for row in rows)


@pytest.mark.parametrize("before", ["running", "paused"])
def test_a_cancelled_replay_makes_no_more_copies_and_those_made_go_on(
    api: APIClient, organization: Organization, subscription: Subscription, before: str
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    made = answer(api.post("/v1/replays", FAILED | {"rate_per_second": 1}), 202)
    replay_chunks.carry_on()
    if before == "paused":
        move(api, made, "pause")

    assert [move(api, made, "cancel")["state"] for _ in range(2)] == ["cancelled", "cancelled"]

    pass_time(3600)
    replay_chunks.carry_on()
    assert Delivery.objects.get(replay_of__isnull=False).state == State.PENDING
    assert shown(api, made)["finished_at"] is not None
    for name in ("pause", "resume"):
        refusal(api.post(f"/v1/replays/{made['id']}/{name}"), 409, "replay_ended")


def test_what_is_done_cannot_be_moved(api: APIClient, organization: Organization) -> None:
    replay = start(organization, states=(State.EXHAUSTED,))
    through(replay)

    for name in ("pause", "resume", "cancel"):
        refusal(api.post(f"/v1/replays/{replay.pk}/{name}"), 409, "replay_ended")


def test_pausing_and_a_chunk_at_once_have_one_outcome(
    organization: Organization, subscription: Subscription
) -> None:
    def pause() -> None:
        with suppress(Conflict):  # it was done first
            replays.replay_pause(Replay.objects.latest("id"))

    for _ in range(5):
        ended(organization)
        replay = start(organization, states=(State.EXHAUSTED,))

        at_once(pause, replay_chunks.carry_on)

        replay.refresh_from_db()
        made = Delivery.objects.filter(created_at__gte=replay.created_at, replay_of__isnull=False).count()
        assert (str(replay.state), made) in [("paused", 0), ("done", 1)]
        Delivery.objects.all().delete()


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "no_filter", None),
        ({"dry_run": True, "limit": 5}, "no_filter", None),
        ({"states": []}, "empty", "states"),
        ({"states": ["pending"]}, "invalid_choice", "states.0"),
        ({"answers": ["503"]}, "invalid_choice", "answers.0"),
        ({"since": "yesterday"}, "invalid", "since"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "empty_range", "until"),
        ({"event_types": "order.paid"}, "not_a_list", "event_types"),
        ({"run_id": "a\u0000b"}, "bad_character", "run_id"),
        ({"delivery_ids": ["x"]}, "invalid", "delivery_ids.0"),
        (FAILED | {"rate_per_second": 0}, "invalid", "rate_per_second"),
        (FAILED | {"rate_per_second": 1e9}, "invalid", "rate_per_second"),
        (FAILED | {"limit": 0}, "min_value", "limit"),
        (FAILED | {"replay_key": ""}, "blank", "replay_key"),
        (FAILED | {"dry_run": "yes"}, "invalid", "dry_run"),
        (FAILED | {"stats": ["blocked"]}, "unknown_field", "stats"),
    ],
)
def test_nonsense_is_refused_with_the_field(
    api: APIClient, body: dict[str, Any], code: str, field: str | None
) -> None:
    refusal(api.post("/v1/replays", body), 422, code, field)
    assert not Replay.objects.exists()


def test_others_subscriptions_and_replays_do_not_exist(
    api: APIClient, other_api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    mine = answer(api.post("/v1/replays", FAILED), 202)

    refusal(other_api.post("/v1/replays", {"subscription_id": subscription.pk}), 404, "not_found")
    refusal(other_api.post("/v1/replays", {"subscription_id": 5, "dry_run": True}), 404, "not_found")
    refusal(other_api.post(f"/v1/replays/{mine['id']}/cancel"), 404, "not_found")
    assert shown(api, mine)["state"] == "running"


def test_the_operators_replays_are_not_shown(api: APIClient) -> None:
    everyones = start(None, states=(State.EXHAUSTED,))

    refusal(api.get(f"/v1/replays/{everyones.pk}"), 404, "not_found")
    assert answer(api.get("/v1/replays"))["total"] == 0


def test_a_key_needs_the_scope(organization: Organization) -> None:
    reader = client_for(organization, [Scope.DELIVERIES_READ])
    replay = start(organization, states=(State.EXHAUSTED,))

    assert answer(reader.get(f"/v1/replays/{replay.pk}"))["state"] == "running"
    refusal(reader.post("/v1/replays", FAILED), 403, "missing_scope")
    refusal(reader.post(f"/v1/replays/{replay.pk}/cancel"), 403, "missing_scope")


def test_one_delivery_asked_for_twice_is_replayed_once(
    api: APIClient, organization: Organization, subscription: Subscription
) -> None:
    (old,) = ended(organization, State.DELIVERED)
    path = f"/v1/deliveries/{old.pk}/replay"

    answer(api.post(path), 202)
    refused = refusal(api.post(path), 409, "not_replayable")

    assert "still open" in refused["detail"]
    end(Delivery.objects.get(replay_of=old), state=State.DELIVERED)
    answer(api.post(path), 202)
    assert Delivery.objects.filter(replay_of=old, created_at__lte=timezone.now()).count() == 2


def test_a_replay_of_too_many_deliveries_is_refused_and_may_be_limited(
    api: APIClient, organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    settings.REPLAY_DELIVERIES_MAX = 2

    refused = refusal(api.post("/v1/replays", FAILED), 422, "too_many_deliveries", "limit")
    refusal(api.post("/v1/replays", FAILED | {"limit": 3}), 422, "max_value", "limit")

    assert "more than 2 deliveries match" in refused["detail"]
    assert not Replay.objects.exists()
    assert answer(api.post("/v1/replays", FAILED | {"limit": 2}), 202)["matched"] == 2


def test_where_counting_takes_too_long_the_bound_is_the_limit_and_shown(
    api: APIClient,
    organization: Organization,
    subscription: Subscription,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    settings.REPLAY_DELIVERIES_MAX = 2

    def give_up(*_: Any, **__: Any) -> int:
        raise TooManyToCount

    monkeypatch.setattr(replays, "matched", give_up)
    made = answer(api.post("/v1/replays", FAILED | {"replay_key": "k"}), 202)
    through(Replay.objects.get())

    assert (made["matched"], made["limit"]) == (None, 2)
    assert shown(api, made)["replayed"] == 2
    assert answer(api.post("/v1/replays", FAILED | {"replay_key": "k"}))["id"] == made["id"]


def test_an_operator_replays_any_number(
    organization: Organization, subscription: Subscription, settings: Settings
) -> None:
    ended(organization, *[State.EXHAUSTED] * 3)
    settings.REPLAY_DELIVERIES_MAX = 2

    made, _ = replays.replay_create(
        NewReplay(organization=organization, filter=ReplayFilter(states=("exhausted",))), count_seconds=None
    )

    assert made.matched == 3
