"""Fixtures for all tests. Databases and brokers are real and come from wheels, on first use."""

from collections.abc import Iterator

import dj_database_url
import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from local import temporary
from tests.receiver import Receiver


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, in random order as the others: at the end one process would wait for another's."""
    long = {
        item.path for item in items if item.path.parent.name == "e2e" or item.get_closest_marker("timeout")
    }
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A PostgreSQL server of the session's own, from the wheel, with our tables; made on first use."""
    with temporary.postgres() as url:
        connections["default"].settings_dict.update(dj_database_url.parse(url))
        with django_db_blocker.unblock():
            call_command("migrate", verbosity=0)
            yield
            connections.close_all()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
