"""/metrics: what stands in the rows, for Prometheus."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from delivery import metrics, queue, slow_rows, tally, worker
from delivery.canary import mark_seen
from delivery.claim import claim
from delivery.models import Delivery
from delivery.presence import Load, Presence
from delivery.states import Lane
from subscriptions.models import Organization, Subscription
from tests.brokers import pointed_at, some, valkey
from tests.counted import FAILED, TIMED_OUT, attempted, count
from tests.integration.test_outbox import happen
from tests.integration.test_recorder import move_database_away
from tests.integration.test_sender import closed_port

HOUR = timedelta(hours=1)
TOKEN = {"HTTP_AUTHORIZATION": "Bearer sesame"}


@pytest.fixture(autouse=True)
def asked_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.METRICS_TOKEN = "sesame"
    monkeypatch.setattr(metrics, "KEPT_SECONDS", 0.0)


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """Value by name and labels."""
    page = client.get("/metrics", **TOKEN)  # type: ignore[arg-type]
    assert page.status_code == 200
    families = text_string_to_metric_families(page.content.decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_it_counts_what_waits_and_who_works(
    client: Client, organization: Organization, subscribe: Callable[..., Subscription]
) -> None:
    subscribe()
    happen(organization)
    held = happen(organization).deliveries.get()
    Delivery.objects.filter(pk=held.pk).update(state="held", reason="gone", next_attempt_at=None)
    Subscription.objects.update(disabled_at=timezone.now(), disabled_reason="gone")
    put_aside = happen(organization).deliveries.get()
    Delivery.objects.filter(pk=put_aside.pk).update(lane=Lane.SLOW, next_attempt_at=Now() + HOUR)
    slow_rows.exchange({(organization.pk, "https://hangs.example:443"): 3}, set())
    mark_seen()
    load = Load(under_way=5, given_back={"receiver_busy": 2, "receiver_slow": 0})
    Presence("worker-1@host", lambda: ["deliveries.first"], 8, load=lambda: load).say_if_due()
    Presence("threads@host", lambda: ["deliveries.first"], 8).say_if_due()

    with valkey() as broker, pointed_at(broker.url):
        queue.send(some(Lane.RETRY)[:2])
        found = samples(client)

    assert found["runhooks_due_deliveries", "first"] == 1
    assert found["runhooks_due_oldest_seconds", "first"] >= 0
    assert found["runhooks_held_deliveries", "gone"] == 1
    assert found["runhooks_disabled_subscriptions",] == 1
    assert (found["runhooks_slow_receivers",], found["runhooks_put_aside_deliveries",]) == (1, 1)
    assert found["runhooks_stuck_deliveries",] == 0
    assert found["runhooks_workers_alive",] == 2
    assert found["runhooks_worker_deliveries_under_way", "worker-1@host"] == 5
    assert found["runhooks_worker_given_back_total", "receiver_busy", "worker-1@host"] == 2
    assert ("runhooks_worker_deliveries_under_way", "threads@host") not in found
    assert found["runhooks_worker_idle_seconds", "worker-1@host"] < 5
    assert found["runhooks_canary_age_seconds",] < 5
    assert (found["runhooks_broker_up",], found["runhooks_waiting_messages", "deliveries.retry"]) == (1, 2)


def test_a_broker_that_is_away_is_a_metric(client: Client) -> None:
    with pointed_at(f"redis://127.0.0.1:{closed_port()}/0"):
        assert samples(client)["runhooks_broker_up",] == 0


def test_a_database_that_is_away_fails_the_scrape(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as away:
        move_database_away(away)
        assert client.get("/metrics", **TOKEN).status_code == 503  # type: ignore[arg-type]


@pytest.mark.parametrize(("token", "said", "status"), [("", "", 404), ("a", "", 401), ("a", "Bearer b", 401)])
def test_it_is_for_those_who_know_the_token(
    client: Client, settings: Settings, token: str, said: str, status: int
) -> None:
    settings.METRICS_TOKEN = token

    assert client.get("/metrics", HTTP_AUTHORIZATION=said).status_code == status


def test_attempts_are_counters_and_their_durations_histograms(client: Client) -> None:
    past = timezone.now() - HOUR
    attempted(3, at=past, duration_ms=30.0, waited_ms=400.0)
    attempted(1, at=past, **TIMED_OUT, number=2)
    count()
    before = samples(client)
    attempted(1)
    attempted(2, **FAILED)
    count()

    found = samples(client)

    assert before["runhooks_attempts_total", "2xx"] == 3
    assert [found["runhooks_attempts_total", answer] for answer in ("2xx", "5xx", "timeout")] == [4, 2, 1]
    assert (
        found["runhooks_deliveries_total", "delivered"],
        found["runhooks_deliveries_total", "given_up"],
    ) == (4, 3)
    buckets = {
        bound[0]: n for (name, *bound), n in before.items() if name.endswith("duration_seconds_bucket")
    }
    assert (buckets["0.025"], buckets["0.05"], buckets["5.0"], buckets["+Inf"]) == (0, 3, 3, 4)
    assert before["runhooks_attempt_duration_seconds_count",] == 4
    assert before["runhooks_attempt_duration_seconds_sum",] == pytest.approx(10.09)
    assert before["runhooks_first_attempt_seconds_count",] == 3
    assert before["runhooks_first_attempt_seconds_sum",] == pytest.approx(1.2, abs=0.01)
    assert found["runhooks_counts_behind_seconds",] < 60


def test_wake_ups_of_requeuers_and_leases_taken_over_are_counted_by_worker(
    client: Client,
    organization: Organization,
    subscribe: Callable[..., Subscription],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subscribe()
    delivery = happen(organization).deliveries.get()
    before = tally.counts()
    assert claim(delivery.pk, 1)
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert claim(delivery.pk, 1)
    monkeypatch.setattr(worker, "requeue_once", lambda *, thorough: 3)

    worker.RequeueLoop(Presence("worker-1@host", list, 8))._look(lambda: False)
    worker.RequeueLoop(Presence("worker-1@host", list, 8))._look(lambda: False)

    found = samples(client)
    assert (
        found["runhooks_worker_leases_taken_over_total", "worker-1@host"] == before["leases_taken_over"] + 1
    )
    assert found["runhooks_worker_requeued_total", "worker-1@host"] == before["requeued"] + 3
