"""What stands in the rows, as Prometheus metrics that any process of the API can answer.

All come from the database and the broker when they are asked for, within the bounds that the
doctor's looks have, so that several processes never disagree.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from django.conf import settings
from django.db import connection
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from delivery import pace, presence, tally
from delivery.broker import BrokerAway, ask
from delivery.canary import age_seconds
from delivery.doctor import rows
from delivery.doctor.bounded import Question
from delivery.fan_out import chunks as fan_out
from delivery.models import Worker
from delivery.retention import selectors as retention
from delivery.stats import selectors as stats
from delivery.stats.slots import BOUNDS_MS

BROKER_MAX_SECONDS = 3.0
DATABASE_MAX_SECONDS = 5.0
# However often it is asked for.
KEPT_SECONDS = 5.0

# Of each worker since it started.
DONE = {
    tally.REQUEUED: "Wake-ups that its requeuer published.",
    tally.LEASES_TAKEN_OVER: "Claims of deliveries that another worker had left.",
}

Samples = Mapping[str, float]


class Rows(Collector):
    """Of the database. Raises what the database raises: a scrape that fails is a metric, too."""

    def collect(self) -> Iterator[Metric]:
        due = rows.due_by_lane()
        count = {lane: float(rows) for lane, (rows, _) in due.items()}
        yield _by("lane", "due_deliveries", "Due and in nobody's hands, up to 10,000.", count)
        oldest = {lane: seconds for lane, (_, seconds) in due.items()}
        yield _by("lane", "due_oldest_seconds", "How long the oldest of them has been due.", oldest)
        yield _by("reason", "held_deliveries", "Wait for a person, up to 10,000.", rows.held_by_reason())
        untold = fan_out.waiting(most=rows.COUNTED_MAX)
        yield _one("fan_out_events", "Whose deliveries are not all made yet, up to 10,000.", untold.events)
        yield _one("fan_out_oldest_seconds", "How long the oldest of them has waited.", untold.oldest_seconds)
        limited = pace.waiting_count(most=rows.COUNTED_MAX)
        yield _one("rate_limited_deliveries", "Wait for a subscription's rate limit, up to 10,000.", limited)
        yield _one("stuck_deliveries", "Woken up in vain, or left by a worker.", rows.stuck_count())
        yield _one("slow_receivers", "Keep timing out, for an organization.", rows.slow_count())
        yield _one("put_aside_deliveries", "Wait in the slow lane, up to 10,000.", rows.put_aside_count())
        yield _one("disabled_subscriptions", "By the service: gone, or failing.", rows.disabled_count())
        seen = presence.seen()
        silent = {worker.name: seconds for worker, seconds in seen}
        yield _by("worker", "worker_silent_seconds", "Since the worker last said that it lives.", silent)
        idle = {worker.name: worker.idle_seconds for worker, _ in seen}
        yield _by("worker", "worker_idle_seconds", "Since the worker last received a message.", idle)
        yield from _load([worker for worker, _ in seen])
        yield _one("workers_alive", "Workers that say so.", presence.alive_count())
        if (age := age_seconds()) is not None:
            yield _one("canary_age_seconds", "Since a worker last carried out what beat sends.", age)
        if (lag := stats.lag_seconds()) is not None:
            yield _one("counts_behind_seconds", "How far the counts of attempts are behind the log.", lag)
        if (ages := retention.ages()) is not None:
            yield _one("retention_seconds_ago", "Since the retention was last at work.", ages.ended)
            if ages.done is not None:
                yield _one("retention_done_seconds_ago", "Since it last got through everything.", ages.done)
        yield from _counts(stats.ever())


class Broker(Collector):
    """Of the broker, whose absence is no failure of the scrape."""

    def collect(self) -> Iterator[Metric]:
        try:
            facts = ask(settings.BROKER_SOCKET_TIMEOUT_SECONDS)
        except BrokerAway:
            yield _one("broker_up", "Does the broker answer?", 0)
            return
        yield _one("broker_up", "Does the broker answer?", 1)
        yield _by("queue", "waiting_messages", "Messages in the broker's queues.", facts.waiting)


def _load(workers: Sequence[Worker]) -> Iterator[Metric]:
    """What they have in hand, of those that say (Celery's own pools do not), and what they have done."""
    under_way = {worker.name: worker.under_way for worker in workers if worker.under_way is not None}
    yield _by("worker", "worker_deliveries_under_way", "From message to commit.", under_way)
    text, labels = "Given back unsent since the worker started.", ["worker", "reason"]
    given_back = CounterMetricFamily("runhooks_worker_given_back", text, labels=labels)
    for worker in workers:
        for reason, number in (worker.given_back or {}).items():
            given_back.add_metric([worker.name, reason], number)
    yield given_back
    for name, what in DONE.items():
        done = CounterMetricFamily(f"runhooks_worker_{name}", what, labels=["worker"])
        for worker in workers:
            done.add_metric([worker.name], (worker.done or {}).get(name, 0))
        yield done


def _counts(ever: stats.Counts) -> Iterator[Metric]:
    """Of all attempts ever: from rows that only grow, whichever process counted."""
    attempts = CounterMetricFamily(
        "runhooks_attempts", "By answer, such as 2xx or timeout.", labels=["answer"]
    )
    for answer, number in ever.answers.items():
        attempts.add_metric([answer], number)
    yield attempts
    ended = CounterMetricFamily("runhooks_deliveries", "Ended with an attempt.", labels=["end"])
    ended.add_metric(["delivered"], ever.delivered)
    ended.add_metric(["given_up"], ever.given_up)
    yield ended
    took = "attempt_duration_seconds", "From the look-up of the name to the end of the answer."
    yield _histogram(*took, ever.durations, ever.request_milliseconds)
    waited = "first_attempt_seconds", "From the making of a delivery to its first request."
    yield _histogram(*waited, ever.firsts, ever.first_milliseconds)


def _histogram(name: str, text: str, slots: Mapping[int, int], milliseconds: float) -> Metric:
    bounds = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
    below = accumulate(slots.get(slot, 0) for slot in range(len(bounds)))
    buckets = list(zip(bounds, map(float, below), strict=True))
    return HistogramMetricFamily(f"runhooks_{name}", text, buckets=buckets, sum_value=milliseconds / 1000)


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"runhooks_{name}", text, value=value)


def _by(label: str, name: str, text: str, samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"runhooks_{name}", text, labels=[label])
    for value, number in samples.items():
        family.add_metric([value], number)
    return family


def _text(collectors: Iterable[Collector]) -> bytes:
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    return generate_latest(registry)


def _of_rows() -> bytes:
    try:
        return _text([Rows()])
    finally:
        connection.close()


_rows: Question[bytes] = Question(_of_rows)
_broker: Question[bytes] = Question(lambda: _text([Broker()]))


def page() -> bytes:
    """The metrics in Prometheus' text format. Raises the database's errors, and TimeoutError."""
    found = _rows.answer(DATABASE_MAX_SECONDS, kept_seconds=KEPT_SECONDS)
    return found + _broker.answer(BROKER_MAX_SECONDS, kept_seconds=KEPT_SECONDS)
