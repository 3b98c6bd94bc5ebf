"""Fixtures for all tests. Databases and brokers are real and come from wheels, on first use."""

from collections.abc import Iterator
from pathlib import Path

import dj_database_url
import pytest
from django.db import connections

from local import temporary
from tests.receiver import Receiver

INTEGRATION = Path(__file__).parent / "integration"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Integration tests commit for real: half of what they assert happens at or after a commit."""
    for item in items:
        if INTEGRATION in item.path.parents:
            item.add_marker(pytest.mark.django_db(transaction=True))


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> Iterator[None]:
    """Start PostgreSQL for the session the first time that a test needs it."""
    with temporary.postgres() as url:
        connections["default"].settings_dict.update(dj_database_url.parse(url))
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running
