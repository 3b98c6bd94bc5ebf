"""Who is measured: the product and the naive version, both on the stack's PostgreSQL and Valkey."""

import http.client
import json
import secrets
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2

from benchmarks.figures import NAIVE, PRODUCT
from local.files import CHECKOUT
from local.ports import free_port
from local.service import Service
from local.stack import Stack

Cell = tuple[str, str]
"""The first word of a delivery's path, and its state."""
UNFINISHED = ("pending", "waiting")
PRODUCT_ROWS = """
    SELECT split_part(url, '/', 4), state, count(*) FROM delivery_delivery WHERE id >= %s GROUP BY 1, 2"""
NAIVE_ROWS = """
    SELECT split_part(s.url, '/', 4), d.state, count(*)
    FROM naive_delivery d JOIN naive_subscription s ON s.id = d.subscription_id
    WHERE d.id > %s GROUP BY 1, 2"""


class Refused(Exception):
    """The benchmark's own calls (not those that are measured) were not answered as they have to be."""


@dataclass
class Contestant:
    """An API with its database, and where its processes are."""

    who: str
    port: int
    key: str
    database_url: str
    rows_query: str
    mark: Callable[[], Any]
    """A key that lies before those of all deliveries still to come."""
    parts: Callable[[], dict[str, list[int]]]
    """The process ids by part."""
    subscriptions: list[int] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call that is not measured."""
        status, answer = self.try_call(method, path, body)
        if status >= 300:
            raise Refused(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer) if answer else None

    def try_call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {**self.headers, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def subscribe(self, url: str, event_type: str, **values: Any) -> int:
        wanted = {"name": urlsplit(url).path, "url": url, "events": [event_type]}
        created = self.call("POST", "/v1/webhooks", wanted | (values if self.who == PRODUCT else {}))
        self.subscriptions.append(created["id"])
        return int(created["id"])

    def unsubscribe(self) -> None:
        """What waits for them is cancelled with that."""
        while self.subscriptions:
            self.call("DELETE", f"/v1/webhooks/{self.subscriptions.pop()}")

    def rows(self, mark: Any) -> Counter[Cell]:
        """Deliveries made since the mark, by the first word of the path and state."""
        return Counter({(kind, state): count for kind, state, count in self.query(self.rows_query, [mark])})

    def settle(self, mark: Any, kinds: Sequence[str], limit: float) -> Counter[Cell]:
        """Wait until those rows are through, and return them all."""
        ends = time.monotonic() + limit
        while True:
            rows = self.rows(mark)
            if not any(rows[kind, state] for kind in kinds for state in UNFINISHED):
                return rows
            if time.monotonic() > ends:
                return rows
            time.sleep(0.1)

    def addressed(self, mark: Any) -> list[tuple[str, str]]:
        """Path and webhook-id of each of the product's deliveries made since the mark."""
        found = self.query("SELECT url, webhook_id FROM delivery_delivery WHERE id >= %s", [mark])
        return [(urlsplit(url).path, webhook_id) for url, webhook_id in found]

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with closing(psycopg2.connect(self.database_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            # Without values a % is a %.
            cursor.execute(statement, values or None)
            return list(cursor.fetchall()) if cursor.description else []


def product(stack: Stack) -> Contestant:
    """The service of a started stack, with a new organization."""
    name = f"bench-{secrets.token_hex(4)}"

    def parts() -> dict[str, list[int]]:
        running = {name: s.pid for name, s in stack.processes.items() if s.running}
        workers = [pid for name, pid in running.items() if name.startswith("worker-")]
        return {"api": [running["api"]], "worker": workers} | _servers(stack)

    return Contestant(
        who=PRODUCT,
        port=stack.port,
        key=stack.manage("create_api_key", "--organization", name, "--scopes", "all").strip(),
        database_url=stack.settings["DATABASE_URL"],
        rows_query=PRODUCT_ROWS,
        # Keys are UUIDs of version 7: they begin with the milliseconds.
        mark=lambda: str(uuid.UUID(int=(time.time_ns() // 1_000_000) << 80)),
        parts=parts,
    )


def naive(stack: Stack, concurrency: int) -> Contestant:
    """Start the naive version beside the product, with a database and a broker number of its own."""
    database_url = _other_database(stack.settings["DATABASE_URL"])
    key, port = secrets.token_urlsafe(24), free_port()
    env = {
        **stack.env,
        "DJANGO_SETTINGS_MODULE": "benchmarks.naive.settings",
        "DATABASE_URL": database_url,
        "BROKER_URL": urlunsplit(urlsplit(stack.settings["BROKER_URL"])._replace(path="/1")),
        "NAIVE_API_KEY": key,
    }
    stack.manage("migrate", "--run-syncdb", "--verbosity", "0", env=env)
    gunicorn = ["gunicorn", "benchmarks.naive.wsgi:application", "--worker-class", "gthread"]
    gunicorn += ["--bind", f"127.0.0.1:{port}", "--workers", "2", "--threads", "8"]
    gunicorn += ["--keep-alive", "75", "--no-control-socket"]
    celery = ["celery", "-A", "benchmarks.naive", "worker", "--pool", "prefork", "--hostname", "naive@%h"]
    celery += ["--concurrency", str(concurrency), "--loglevel", "WARNING", "--without-gossip"]
    api = _service(stack, "naive-api", gunicorn, env, lambda _: _answers(port))
    worker = _service(stack, "naive-worker", celery, env, lambda s: _has_children(s, concurrency))
    worker.wave = 1
    for service in (api, worker):
        stack.supervisor.start(service)
    stack.supervisor.wait("naive-api", "naive-worker")
    contestant = Contestant(
        who=NAIVE,
        port=port,
        key=key,
        database_url=database_url,
        rows_query=NAIVE_ROWS,
        mark=lambda: contestant.query("SELECT coalesce(max(id), 0) FROM naive_delivery")[0][0],
        parts=lambda: {"api": [api.pid], "worker": [worker.pid]} | _servers(stack),
    )
    return contestant


def _servers(stack: Stack) -> dict[str, list[int]]:
    return {"postgresql": [stack.processes["postgres"].pid], "valkey": [stack.processes["valkey"].pid]}


def _other_database(url: str) -> str:
    """Beside the product's, on the same server."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("CREATE DATABASE naive")
    return urlunsplit(urlsplit(url)._replace(path="/naive"))


def _service(
    stack: Stack, name: str, module: list[str], env: dict[str, str], ready: Callable[[Service], bool]
) -> Service:
    mark = f"runhooks={stack.folder}"
    return Service(
        name=name,
        folder=stack.folder,
        command=[sys.executable, "-X", mark, "-m", *module],
        mark=mark,
        env=env,
        cwd=CHECKOUT,
        ready=ready,
    )


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def _has_children(service: Service, count: int) -> bool:
    """A prefork worker that has started its processes takes tasks."""
    return len(psutil.Process(service.pid).children()) >= count
