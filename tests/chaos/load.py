"""Drives the HTTP API from a few threads and keeps a book of everything that was accepted."""

import random
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.api import Answers, Caller, GivenUp
from tests.chaos.listeners import Listeners
from tests.chaos.records import Key, Told

THREADS = 6
# Weights of what is reported; a run is up to eight events by itself.
CUSTOM = {
    "chaos.one": 40,
    "chaos.few": 10,
    "chaos.many": 2,
    "chaos.steady": 10,
    "chaos.hasty": 4,
    "chaos.never": 3,
    "chaos.gone": 2,
    "chaos.forbidden": 2,
    "chaos.cancelled": 3,
}
RUN_WEIGHT = 8


class Book:
    """What the API has accepted, written down by all threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.told: list[Told] = []
        self.unanswered: set[Key] = set()
        self.cancelled: set[str] = set()
        self.refusals: list[str] = []

    def add(self, told: Told) -> None:
        with self.lock:
            self.told.append(told)

    def refuse(self, error: Exception) -> None:
        with self.lock:
            self.refusals.append(f"{type(error).__name__}: {error}")


class Load:
    """`rate` events per second over all threads, until it is stopped."""

    def __init__(
        self, *, base_url: str, key: str, listeners: Listeners, seed: int, rate: float, seconds: float
    ) -> None:
        self.book = Book()
        self.answers = Answers()
        self._base_url, self._key = base_url, key
        self._listeners = listeners
        self._seed = seed
        self._rate, self._seconds = rate, seconds
        self._stop = threading.Event()
        self._prober = Reporter(self, THREADS)
        self._threads = [
            threading.Thread(target=self._report, args=(number,), name=f"chaos-load-{number}", daemon=True)
            for number in range(THREADS)
        ]
        self._threads.append(threading.Thread(target=self._deactivate, name="chaos-owner", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every thread finish what it has begun, and wait for it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def probe(self) -> None:
        """One more event to many targets, from the calling thread."""
        self._prober.tell_custom("chaos.few")

    def _report(self, number: int) -> None:
        reporter = Reporter(self, number)
        while not self._stop.is_set():
            began = time.monotonic()
            before = reporter.events
            try:
                reporter.report()
            except GivenUp:
                pass
            except Exception as error:  # noqa: BLE001 - the load goes on, and the judge is told
                self.book.refuse(error)
            # What an outage has held up is not made up for: the load stays bounded.
            pause = max(1, reporter.events - before) * THREADS / self._rate
            self._stop.wait(max(0.0, pause - (time.monotonic() - began)))

    def _deactivate(self) -> None:
        """Owners stop their subscriptions one after another, evenly over the run."""
        api = Caller(self._base_url, self._key, self.answers)
        for id_ in self._listeners.leaving:
            if self._stop.wait(self._seconds / (len(self._listeners.leaving) + 1)):
                return
            with suppress(GivenUp):
                api.call("PATCH", f"/v1/webhooks/{id_}", {"is_active": False})


class Reporter:
    """One thread's executor and platform."""

    def __init__(self, load: Load, number: int) -> None:
        self._api = Caller(load._base_url, load._key, load.answers)
        self._book = load.book
        self._listeners = load._listeners
        self._dice = random.Random(f"{load._seed} load {number}")
        self._name = f"{load._seed}_{number}"
        self.events = 0

    def report(self) -> None:
        """One custom event, or the whole life of one run."""
        kinds = [*CUSTOM, "run"]
        (kind,) = self._dice.choices(kinds, [*CUSTOM.values(), RUN_WEIGHT])
        if kind == "run":
            self._run()
        else:
            self.tell_custom(kind)

    def tell_custom(self, event_type: str) -> None:
        event_id = f"evt_chaos_{self._name}_{self.events}"
        data = {"number": self.events, "text": "čaos " * self._dice.randint(1, 60)}
        body = {"event_type": event_type, "data": data, "event_id": event_id}
        answer = self._tell((event_id, event_type), "/v1/events", body, self._listeners.paths_of(event_type))
        if event_type == "chaos.cancelled" and answer is not None:
            self._cancel(event_id)

    def _cancel(self, event_id: str) -> None:
        """A person thinks better of it, sometimes while the first attempt is on its way."""
        time.sleep(self._dice.uniform(0, 0.5))
        found = self._api.call("GET", f"/v1/deliveries?event_id={event_id}")
        for delivery in found["deliveries"]:
            if self._api.call("POST", f"/v1/deliveries/{delivery['id']}/cancel") is not None:
                with self._book.lock:
                    self._book.cancelled.add(delivery["id"])

    def _run(self) -> None:
        url = self._dice.choice(self._listeners.callback_urls)
        new = {
            "workflow_id": self._listeners.workflow_id,
            "external_id": f"{self._name}_{self.events}",
            "input": {"prompt": "chaos", "number": self.events},
            "webhook_url": url,
        }
        run = self._api.call("POST", "/v1/runs", new)["id"]
        self._move(run, "start", "workflow.started", {"executor_id": self._name})
        for number in range(self._dice.randint(0, 3)):
            step = f"steps/step-{number}"
            failed = self._dice.random() < 0.1
            self._move(run, f"{step}/start", "workflow.step.started", {"input": {"number": number}})
            if failed:
                self._move(run, f"{step}/fail", "workflow.step.failed", {"error": {"message": "no"}})
            else:
                self._move(run, f"{step}/complete", "workflow.step.completed", {"output": {"ok": number}})
        path = frozenset({urlsplit(url).path})
        if self._dice.random() < 0.2:
            self._move(run, "fail", "workflow.failed", {"error": {"message": "chaos"}}, path)
        else:
            self._move(run, "complete", "workflow.completed", {"output": {"answer": 42}}, path)

    def _move(
        self, run: str, move: str, event_type: str, body: Any, callback: frozenset[str] = frozenset()
    ) -> None:
        paths = self._listeners.paths_of(event_type) | callback
        self._tell((run, event_type), f"/v1/runs/{run}/{move}", body, paths)

    def _tell(self, key: Key, path: str, body: Any, paths: frozenset[str]) -> Any:
        """Make a call that makes an event, and write down that it was accepted, or that nobody knows."""
        self.events += 1
        try:
            answer = self._api.call("POST", path, body)
        except GivenUp:
            with self._book.lock:
                self._book.unanswered.add(key)
            raise
        recipients = answer.get("subscriptions") if answer is not None else None
        self._book.add(Told(key=key, paths=paths, recipients=recipients))
        return answer
