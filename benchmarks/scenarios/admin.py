"""`admin`: how long the pages and lists that people look at take, with five million attempts stored.

The admin's, the portal's, and the lists of the API, also those of a subscription that nothing is sent to.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median

import requests

from benchmarks.bench import Bench
from benchmarks.contestants import Contestant, Refused
from benchmarks.figures import Bar, Outcome, percentile
from benchmarks.seed import COLUMNS, copy_rows
from local.stack import Stack

ATTEMPTS, ATTEMPTS_PER_DELIVERY = 5_000_000, 5
# A month: what the longest span of the start page counts together.
APART_MS = 2_500
SUBSCRIPTIONS = 40
# One of ten deliveries is given up, and one of ten attempts gets no answer.
FAILED = "(n % 10 = 0)"
LOOKS = 20
MUST_MS = 300.0
COUNTED_WITHIN_SECONDS = 300.0
ACCOUNT = {
    "DJANGO_SUPERUSER_USERNAME": "bench",
    "DJANGO_SUPERUSER_EMAIL": "bench@localhost",
    "DJANGO_SUPERUSER_PASSWORD": "of-a-database-that-ends-with-the-run",
}

# Five of each delivery, the last of them when it ended. Other columns are the service's own.
ATTEMPT_VALUES = {
    "id": "uuidv7(d.created_at + k * interval '400 ms' - now())",
    "created_at": "d.created_at + k * interval '400 ms'",
    "delivery_id": "d.id",
    "subscription_id": "d.subscription_id",
    "url": "d.url",
    "number": "k",
    "success": "k = d.attempts AND d.state = 'delivered'",
    "status_code": "CASE WHEN k = d.attempts THEN d.last_status_code WHEN k % 2 = 0 THEN 503 END",
    "error_class": """CASE WHEN k = d.attempts AND d.state = 'delivered' THEN ''
        WHEN k = d.attempts OR k % 2 = 0 THEN 'http_status' ELSE 'timeout' END""",
    "duration_ms": "5 * 1.5 ^ (abs(hashtext(d.id::text || k)) % 16)",
    "next_retry_at": "CASE WHEN k < d.attempts THEN d.created_at + (k + 1) * interval '400 ms' END",
}
DELIVERIES_PER_STATEMENT = 50_000


def fill(bench: Bench, product: Contestant) -> None:
    """Deliveries of a month to all subscriptions, with their attempts, counted by the service itself."""
    began = time.monotonic()
    attempts = bench.count(ATTEMPTS)
    deliveries = attempts // ATTEMPTS_PER_DELIVERY
    ids = ", ".join(str(id_) for id_ in product.subscriptions)
    values = {
        "subscription_id": f"(ARRAY[{ids}])[1 + n % {len(product.subscriptions)}]",
        "state": f"CASE WHEN {FAILED} THEN 'exhausted' ELSE 'delivered' END",
        "reason": f"CASE WHEN {FAILED} THEN 'schedule_used_up' ELSE 'accepted' END",
        "attempts": str(ATTEMPTS_PER_DELIVERY),
        "last_status_code": f"CASE WHEN {FAILED} THEN 500 + n % 4 ELSE 200 + n % 3 END",
        "finished_at": f"now() - n * interval '{APART_MS} ms'",
        "url": "one.url || '/' || n % 1000",
    }
    copy_rows(product, "delivery_delivery", "state = 'delivered'", deliveries, values, apart_ms=APART_MS)
    columns = [name for (name,) in product.query(COLUMNS, ["delivery_attempt"])]
    chosen = ", ".join(ATTEMPT_VALUES.get(column, f"one.{column}") for column in columns)
    for skipped in range(0, deliveries, DELIVERIES_PER_STATEMENT):
        product.query(
            f"INSERT INTO delivery_attempt ({', '.join(columns)}) SELECT {chosen}"  # noqa: S608 - our own names
            f" FROM (SELECT * FROM delivery_attempt WHERE success LIMIT 1) AS one,"
            f" (SELECT * FROM delivery_delivery ORDER BY id"
            f" OFFSET {skipped} LIMIT {DELIVERIES_PER_STATEMENT}) AS d,"
            f" generate_series(1, {ATTEMPTS_PER_DELIVERY}) AS k"
        )
    product.query("VACUUM ANALYZE delivery_attempt")
    bench.say(f"  {attempts} attempts stored in {time.monotonic() - began:.0f} s")


def wait_until_counted(bench: Bench, product: Contestant) -> None:
    """The service counts what was written. It began before this was: now it begins again."""
    began = time.monotonic()
    product.query("TRUNCATE delivery_attemptcount")
    product.query("UPDATE delivery_statsmark SET counted_until = 'epoch'")
    while not product.query(
        "SELECT 1 FROM delivery_statsmark WHERE counted_until > now() - interval '1 minute'"
    ):
        if time.monotonic() - began > COUNTED_WITHIN_SECONDS:
            raise Refused("the attempts are not counted")
        time.sleep(0.5)
    bench.say(f"  counted in {time.monotonic() - began:.0f} s")


def pages_of(product: Contestant) -> dict[str, str]:
    """What people open, by name: each is asked for in the way in which a link or form of the admin asks."""
    ((delivery, webhook_id, url, subscription),) = product.query(
        "SELECT id, webhook_id, url, subscription_id FROM delivery_delivery"
        " WHERE state = 'exhausted' ORDER BY id DESC OFFSET 100 LIMIT 1"
    )
    ((attempt, event),) = product.query(
        "SELECT a.id, d.event_id FROM delivery_attempt a JOIN delivery_delivery d ON d.id = a.delivery_id"
        " WHERE a.delivery_id = %s LIMIT 1",
        [delivery],
    )
    failed = f"state=exhausted&answer=5xx&subscription={subscription}"
    return {
        "start page": "/admin/",
        "start page, a month": "/admin/?span=month",
        "deliveries": "/admin/delivery/delivery/",
        "deliveries, page 50": "/admin/delivery/delivery/?p=50",
        "deliveries, exhausted": "/admin/delivery/delivery/?state=exhausted",
        "deliveries, four filters": f"/admin/delivery/delivery/?{failed}&created=24",
        "deliveries, by an id": f"/admin/delivery/delivery/?q={webhook_id}",
        "deliveries, by a code": "/admin/delivery/delivery/?q=503",
        "deliveries, by a URL": f"/admin/delivery/delivery/?q={url}",
        "delivery": f"/admin/delivery/delivery/{delivery}/change/",
        "attempts": "/admin/delivery/attempt/",
        "attempts, time-outs": "/admin/delivery/attempt/?error_class=timeout",
        "attempts, four filters": (
            f"/admin/delivery/attempt/?answer=5xx&error_class=http_status&subscription={subscription}&created=7"
        ),
        "attempt": f"/admin/delivery/attempt/{attempt}/change/",
        "events": "/admin/delivery/event/",
        "event": f"/admin/delivery/event/{event}/change/",
        "subscriptions": "/admin/subscriptions/subscription/",
        "subscription": f"/admin/subscriptions/subscription/{subscription}/change/",
        "runs": "/admin/runs/run/",
        "replays": "/admin/delivery/replay/",
    }


def log_in(stack: Stack) -> requests.Session:
    stack.manage("createsuperuser", "--noinput", env=ACCOUNT)
    session, url = requests.Session(), f"{stack.base_url}/admin/login/"
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', session.get(url, timeout=30).text)
    assert token is not None, "a form without a token"
    form = {
        "username": ACCOUNT["DJANGO_SUPERUSER_USERNAME"],
        "password": ACCOUNT["DJANGO_SUPERUSER_PASSWORD"],
        "csrfmiddlewaretoken": token[1],
    }
    if session.post(url, form, timeout=30, allow_redirects=False).status_code != requests.codes.found:
        raise Refused("nobody can log in")
    return session


def portal_of(product: Contestant) -> dict[str, str]:
    """The portal's pages."""
    ((delivery, organization, subscription),) = product.query(
        "SELECT d.id, o.public_id, d.subscription_id FROM delivery_delivery d"
        " JOIN subscriptions_organization o ON o.id = d.organization_id"
        " WHERE d.state = 'exhausted' ORDER BY d.id DESC OFFSET 100 LIMIT 1"
    )
    portal = f"/portal/{organization}"
    return {
        "portal, subscriptions": f"{portal}/",
        "portal, subscription": f"{portal}/subscriptions/{subscription}/",
        "portal, log": f"{portal}/log",
        "portal, failures": f"{portal}/log?show=failed&subscription={subscription}",
        "portal, delivery": f"{portal}/deliveries/{delivery}",
        "portal, replays": f"{portal}/replays",
    }


def lists_of(product: Contestant, silent: int) -> dict[str, str]:
    """The API's, of a subscription that was sent a lot, and of one that was sent nothing."""
    busy = product.subscriptions[0]
    return {
        f"API, {name} of {of}": path.format(subscription)
        for of, subscription in (("a busy one", busy), ("a silent one", silent))
        for name, path in (
            ("logs", "/v1/webhooks/{}/logs"),
            ("deliveries", "/v1/deliveries?subscription_id={}"),
            ("failures", "/v1/deliveries?subscription_id={}&state=exhausted"),
        )
    }


def look(ask: Callable[[], requests.Response]) -> list[float]:
    """Milliseconds of each look; the first one, which fills caches, does not count."""
    spent = []
    for _ in range(LOOKS + 1):
        began = time.monotonic()
        answer = ask()
        spent.append(1000 * (time.monotonic() - began))
        if answer.status_code != requests.codes.ok:
            raise Refused(f"{answer.url}: {answer.status_code}")
    return spent[1:]


class Admin:
    name = "admin"
    work = f"pages and lists with 5 million attempts stored, {LOOKS} looks at each"

    def run(self, bench: Bench) -> Outcome:
        with bench.stack() as stack:
            product = bench.product(stack)
            bench.warm_up(product)
            for number in range(SUBSCRIPTIONS - 1):
                product.subscribe(bench.sink.url(f"/n/admin/{number}"), "bench.admin")
            fill(bench, product)
            silent = product.subscribe(bench.sink.url("/n/admin/silent"), "bench.silent")
            wait_until_counted(bench, product)
            customer, caller = requests.Session(), requests.Session()
            caller.headers.update(product.headers)
            customer.get(product.call("POST", "/v1/portal/links", {})["url"], timeout=60)
            bars = [
                *self.looks(bench, stack, log_in(stack), pages_of(product)),
                *self.looks(bench, stack, customer, portal_of(product)),
                *self.looks(bench, stack, caller, lists_of(product, silent)),
            ]
        return Outcome(scenario=self.name, work=self.work, bars=bars)

    def looks(
        self, bench: Bench, stack: Stack, session: requests.Session, pages: Mapping[str, str]
    ) -> Iterator[Bar]:
        for name, path in pages.items():
            spent = look(partial(session.get, stack.base_url + path, timeout=60))
            p99 = percentile(spent, 0.99)
            bench.say(f"  {name:<32}{median(spent):>7.0f} ms, p99 {p99:.0f}")
            yield Bar(what=f"{name}, p99", value=p99, must=MUST_MS, at_most=True, unit="ms")
