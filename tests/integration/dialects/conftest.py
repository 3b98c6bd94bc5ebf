"""One run of a dialect, from its caller's request to the bytes that the receiver got."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from tests.integration.conftest import CollectedWakeUps
from tests.receiver import Received, Receiver

Deliver = Callable[[], list[Received]]


@pytest.fixture
def deliver(attempt: Callable[..., Any], wake_ups: CollectedWakeUps, receiver: Receiver) -> Deliver:
    """Let a worker make the first attempt of everything that waits; what the receiver got, all in all."""
    done: set[UUID] = set()

    def make() -> list[Received]:
        for wake_up in list(wake_ups):
            if wake_up.delivery_id not in done:
                done.add(wake_up.delivery_id)
                attempt(wake_up.delivery_id, wake_up.attempt)
        return receiver.requests

    return make


def report(api: APIClient, run_id: str, move: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What an executor says through the native API; `move` may name a step: `steps/render/start`."""
    # As ASCII, so that lone surrogates can be said as well.
    answer = api.post(f"/v1/runs/{run_id}/{move}", json.dumps(body or {}), content_type="application/json")
    assert answer.status_code == 200, answer.content
    data: dict[str, Any] = answer.json()
    return data
