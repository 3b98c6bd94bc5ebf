"""An organization with a key, and a world without a broker: wake-ups are collected instead."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from delivery import queue
from delivery.deliver import Again, deliver
from delivery.held import HeldRetries
from delivery.models import Delivery
from delivery.queue import WakeUp
from delivery.sender import Transport
from subscriptions import cache, services
from subscriptions.models import Organization, Scope, Subscription
from subscriptions.rules import target_rule
from tests.receiver import Receiver


class CollectedWakeUps(list[WakeUp]):
    """Stands where the publisher is."""

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        self.extend(wake_ups)


@pytest.fixture(autouse=True)
def wake_ups(monkeypatch: pytest.MonkeyPatch) -> CollectedWakeUps:
    collected = CollectedWakeUps()
    monkeypatch.setattr(queue, "publisher", lambda: collected)
    cache.clear()
    return collected


@pytest.fixture
def organization() -> Organization:
    return services.organization_create(name="Acme", contact_email="ops@acme.example")[0]


@pytest.fixture
def other_organization() -> Organization:
    return services.organization_create(name="Other")[0]


def client_for(organization: Organization, scopes: Sequence[str] = Scope.values) -> APIClient:
    _, key = services.api_key_create(organization=organization, scopes=scopes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


@pytest.fixture
def api(organization: Organization) -> APIClient:
    """A client with a key of every scope."""
    return client_for(organization)


@pytest.fixture
def other_api(other_organization: Organization) -> APIClient:
    return client_for(other_organization)


@pytest.fixture
def subscribe(organization: Organization, receiver: Receiver) -> Callable[..., Subscription]:
    """Make a subscription of the organization, by default for everything at the receiver's /hook."""

    def make(**values: Any) -> Subscription:
        defaults = {"name": "Hook", "url": receiver.url(), "events": ["*"]}
        return services.subscription_create(organization=organization, values=defaults | values)[0]

    return make


@pytest.fixture
def transport() -> Iterator[Transport]:
    running = Transport(rule=target_rule(), connections_per_receiver=8, body_max_characters=2048)
    yield running
    running.close()


@pytest.fixture
def attempt(transport: Transport) -> Callable[..., Again | None]:
    """Make an attempt as a worker would, in this process."""

    def make(delivery: Delivery | UUID, number: int = 1) -> Again | None:
        id_ = delivery.id if isinstance(delivery, Delivery) else delivery
        held = HeldRetries(longest_seconds=60, most=1000)
        return deliver(id_, number, transport=transport, held=held)

    return make
