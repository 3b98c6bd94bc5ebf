"""`backlog`: a million retries that wait cost nobody anything, and those that come due go out in time."""

import time
from functools import partial

from benchmarks import cpu
from benchmarks.bench import Bench
from benchmarks.contestants import Contestant
from benchmarks.figures import Bar, Outcome, Run, percentile, ratio, speed_ratio
from benchmarks.load import until
from benchmarks.scenarios.bursts import burst
from benchmarks.seed import copy_rows

WAITING = 1_000_000
EVENTS, FAN_OUT = 500, 10
DUE, DUE_PER_SECOND = 200, 50
LEAD_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
STEADY_SECONDS = 20.0


def fill(bench: Bench, product: Contestant) -> None:
    """Copies of a delivery of the subscription that stays, as if each had failed once."""
    waiting = {
        "webhook_id": "'due-' || n",
        "url": f"'{bench.sink.url('/due/1', 3)}'",
        "lane": "'retry'",
        "state": "'waiting'",
        "attempts": "1",
        "finished_at": "NULL",
        "lease_until": "NULL",
        "nudged_at": "NULL",
        "nudges": "0",
        "next_attempt_at": "now() + interval '1 day' + random() * interval '1 day'",
    }
    copy_rows(product, "delivery_delivery", "url LIKE '%/due/1'", bench.count(WAITING), waiting)


def lateness_s(bench: Bench, product: Contestant) -> list[float]:
    """Bring some of them forward and see how late each is at the sink."""
    bench.sink.reset()
    count = bench.count(DUE)
    due = product.query(
        """
        WITH chosen AS (
            SELECT id, row_number() OVER (ORDER BY id) AS n FROM delivery_delivery
            WHERE state = 'waiting' AND webhook_id LIKE 'due-%%' LIMIT %s
        )
        UPDATE delivery_delivery d
        SET next_attempt_at = clock_timestamp() + interval '1 s' * (%s + chosen.n / %s::float)
        FROM chosen WHERE d.id = chosen.id
        RETURNING d.webhook_id, extract(epoch FROM d.next_attempt_at)::float""",
        [count, LEAD_SECONDS, DUE_PER_SECOND],
    )
    bench.sink.wait_for(count, ["due"], patience=PATIENCE_SECONDS, limit=PATIENCE_SECONDS)
    # The sink's clock is the monotonic one, the database's the wall's.
    ahead = time.time() - time.monotonic()
    came = {id_: at + ahead for _, id_, at in bench.sink.dump()}
    never = time.time() + PATIENCE_SECONDS
    return [came.get(id_, never) - at for id_, at in due]


class Backlog:
    name = "backlog"
    work = "a million retries wait"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            product.subscribe(bench.sink.url("/due/1", 3), "bench.due")
            product.call("POST", "/v1/events", {"event_type": "bench.due", "data": {}})
            until(
                lambda: bench.sink.stats()["by_kind"].get("due"), PATIENCE_SECONDS, "a first one is delivered"
            )
            time.sleep(1)
            product.subscriptions.clear()
            fan_out = partial(burst, bench, product, events=bench.count(EVENTS), fan_out=FAN_OUT)
            empty = bench.interleave(partial(fan_out, variant="empty"))
            idle = cpu.memory_megabytes(product.parts()["worker"])
            fill(bench, product)
            time.sleep(max(STEADY_SECONDS / bench.options.share, 1))
            memory = cpu.memory_megabytes(product.parts()["worker"])
            full = bench.interleave(fan_out)
            late = lateness_s(bench, product)
        bars = self.bars(empty, full, ratio(memory, idle), late)
        return Outcome(scenario=self.name, work=self.work, runs=[*empty, *full], bars=bars)

    def bars(self, empty: list[Run], full: list[Run], memory: float | None, late: list[float]) -> list[Bar]:
        return [
            Bar(what="worker's memory to idle", value=memory, must=1.1, aim=1.02, at_most=True),
            Bar(what="fanout to the empty one's", value=speed_ratio(full, empty), must=0.9, aim=1),
            Bar(what="p99 of lateness", value=percentile(late, 0.99), must=2, at_most=True, unit="s"),
        ]
