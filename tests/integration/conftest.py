"""An organization with a key, and a world without a broker: wake-ups are collected instead."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery import health, queue, slow
from delivery.deliver import Again, deliver
from delivery.models import Delivery
from delivery.queue import WakeUp
from delivery.sender import Transport
from delivery.short_waits import ShortWaits
from delivery.states import Lane
from delivery.worker import new_transport
from subscriptions import cache, services
from subscriptions.models import Organization, Scope, Subscription
from tests.brokers import Broker, pointed_at, valkey
from tests.receiver import Receiver


@pytest.fixture(autouse=True)
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database without rows, in which tests commit for real: half of what they assert follows a commit.

    Rows are deleted afterwards, with the checks of references off: that takes 3 ms, where truncating
    and making Django's permissions again takes 100.
    """
    with django_db_blocker.unblock():
        yield
        connection.close()  # whatever state the test left it in
        _delete_all(sorted(_filled_tables()))


def _filled_tables() -> set[str]:
    """Tables that tests fill: those of our apps, and users, their log and sessions."""
    models = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    kept = ("auth_permission", "django_content_type", "auth_group", "auth_group_permissions")
    return {model._meta.db_table for model in models} - set(kept)


def _delete_all(tables: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SET session_replication_role = replica;" + "".join(f"DELETE FROM {table};" for table in tables)
        )
        # What a test had counted by ANALYZE would be believed by the next one.
        cursor.execute("SELECT relname FROM pg_class WHERE reltuples >= 0 AND relname = ANY(%s)", [tables])
        counted = [name for (name,) in cursor.fetchall()]
        if counted:
            cursor.execute(f"TRUNCATE {', '.join(counted)} CASCADE")
        cursor.execute("SET session_replication_role = DEFAULT")


class CollectedWakeUps(list[WakeUp]):
    """Stands where the publisher is."""

    fan_outs = 0

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        self.extend(wake_ups)

    def publish_fan_out(self) -> None:
        self.fan_outs += 1


@pytest.fixture(autouse=True)
def wake_ups(monkeypatch: pytest.MonkeyPatch) -> CollectedWakeUps:
    collected = CollectedWakeUps()
    monkeypatch.setattr(queue, "publisher", lambda: collected)
    cache.clear()
    return collected


@pytest.fixture(autouse=True)
def no_recent_successes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test is a new worker process, which has seen no receiver accept anything."""
    monkeypatch.setattr(health, "_successes", health.RecentSuccesses())


@pytest.fixture(autouse=True)
def no_slow_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one time out."""
    monkeypatch.setattr(slow, "_receivers", slow.SlowReceivers())


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
def admin_client() -> Client:
    """A browser in which an administrator is logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def subscribe(organization: Organization, receiver: Receiver) -> Callable[..., Subscription]:
    """Make a subscription of the organization, by default for everything at the receiver's /hook."""

    def make(**values: Any) -> Subscription:
        defaults = {"name": "Hook", "url": receiver.url(), "events": ["*"]}
        return services.subscription_create(organization=organization, values=defaults | values)[0]

    return make


@pytest.fixture
def transport() -> Iterator[Transport]:
    running = new_transport()
    yield running
    running.close()


@pytest.fixture
def attempt(transport: Transport) -> Callable[..., Again | None]:
    """Make an attempt as a worker would, in this process."""

    def make(delivery: Delivery | UUID, number: int = 1) -> Again | None:
        id_ = delivery.id if isinstance(delivery, Delivery) else delivery
        short_waits = ShortWaits(longest_seconds=60, most=1000)
        return deliver(id_, number, transport=transport, short_waits=short_waits)

    return make


class Worker:
    """Stands where the publisher is, and makes the attempts at once, in a thread of its own."""

    def __init__(self, pool: ThreadPoolExecutor, attempt: Callable[..., Any]) -> None:
        self._pool = pool
        self._attempt = attempt

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        for wake_up in wake_ups:
            self._pool.submit(self._work, wake_up)

    def _work(self, wake_up: WakeUp) -> None:
        try:
            self._attempt(wake_up.delivery_id)
        finally:
            connections.close_all()


@pytest.fixture
def worker(
    monkeypatch: pytest.MonkeyPatch, wake_ups: CollectedWakeUps, attempt: Callable[..., Any]
) -> Iterator[None]:
    """What is published is sent, for calls that wait for a receiver."""
    with ThreadPoolExecutor(1) as pool:
        running = Worker(pool, attempt)
        monkeypatch.setattr(queue, "publisher", lambda: running)
        yield


@pytest.fixture(scope="module")
def server() -> Iterator[Broker]:
    with valkey() as running:
        yield running


@pytest.fixture
def kept_and_counted(settings: Settings, server: Broker) -> None:
    """Keys are kept, and calls are counted in a real store."""
    settings.API_KEY_CACHE_SECONDS = 60
    settings.CELERY_BROKER_URL = server.url
    settings.RATE_LIMIT_STORE_TIMEOUT_SECONDS = 1.0
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"test-{time.monotonic_ns()}:"}


@pytest.fixture
def broker(server: Broker) -> Iterator[Broker]:
    """A real one, empty, and where Celery's app publishes to."""
    with pointed_at(server.url):
        for lane in Lane:
            server.take_all(lane)
        yield server
