"""The real stack: PostgreSQL, Valkey, gunicorn, Celery workers and beat, as `make serve` runs them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from local import temporary
from local.stack import Stack, StackConfig

METRICS_TOKEN = "sesame"


class Api:
    """The HTTP API with a key of every scope."""

    def __init__(self, stack: Stack, key: str) -> None:
        self.stack = stack
        self._session = requests.Session()
        self.authorization = f"Bearer {key}"
        self._session.headers["Authorization"] = self.authorization

    def call(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        answer = self._session.request(method, self.stack.base_url + path, json=body, timeout=30)
        assert answer.status_code == status if status else answer.ok, f"{answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def send(self, path: str, body: Iterator[bytes]) -> requests.Response:
        """POST pieces of JSON as they come, without saying how many bytes they are."""
        headers = {"Content-Type": "application/json"}
        return self._session.post(self.stack.base_url + path, data=body, headers=headers, timeout=30)

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.call("POST", path, body)

    def subscribe(self, url: str, **settings: Any) -> dict[str, Any]:
        values = {"name": "Hook", "url": url, "events": ["*"]} | settings
        created: dict[str, Any] = self.post("/v1/webhooks", values)
        return created

    def events(self, count: int, event_type: str) -> list[str]:
        """Report so many custom events; their ids."""
        return [
            self.post("/v1/events", {"event_type": event_type, "data": {"number": number}})["event_id"]
            for number in range(count)
        ]

    def states(self, subscription: dict[str, Any]) -> list[str]:
        """The states of the subscription's deliveries."""
        page = self.get(f"/v1/deliveries?subscription_id={subscription['id']}&limit=100")
        return [delivery["state"] for delivery in page["deliveries"]]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two workers; leases are short (2 s time-out + 2 s), so that taking over can be watched."""
    env = {"DELIVERY_LEASE_MARGIN_SECONDS": "2", "API_DATABASE_TIMEOUT_SECONDS": "2"}
    env["METRICS_TOKEN"] = METRICS_TOKEN
    with (
        temporary.folder() as folder,
        Stack(StackConfig(data_dir=folder, workers=2, concurrency=16, env=env)) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def api(stack: Stack) -> Api:
    return Api(stack, stack.manage("create_api_key", "--organization", "e2e", "--scopes", "all").strip())


def eventually(met: Callable[[], object], seconds: float, what: str) -> None:
    """Return as soon as `met()` is true; fail after `seconds`."""
    ends = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(0.05)
