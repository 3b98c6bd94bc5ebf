"""The API's connections to PostgreSQL: neither a dead nor a silent one holds a caller up."""

import select
from typing import Any

import psycopg2
from django.conf import settings
from django.core.signals import request_started
from django.db import connection
from psycopg2 import extensions

EVENTS = {extensions.POLL_READ: select.POLLIN, extensions.POLL_WRITE: select.POLLOUT}


def prepare() -> None:
    """For this process, before its first request."""
    request_started.connect(drop_dead_connection)
    extensions.set_wait_callback(wait_in_bounds)


def drop_dead_connection(**_: Any) -> None:
    """Let go of a kept connection that the database has closed meanwhile, so that nobody is told 503.

    An idle connection has nothing to read unless the server said goodbye: asking the kernel takes
    microseconds, where Django's own CONN_HEALTH_CHECKS asks the server at each request.
    """
    kept = connection.connection
    if kept is None:
        return
    waiting = select.poll()  # select() itself knows no file numbers beyond 1023
    if not kept.closed:
        waiting.register(kept.fileno(), select.POLLIN)
    if kept.closed or waiting.poll(0):
        connection.close()


def wait_in_bounds(driver: Any) -> None:
    """Wait for PostgreSQL, up to API_DATABASE_TIMEOUT_SECONDS each time: then the caller is told 503.

    psycopg2 has no time limit of its own: a server that is frozen, or a network that swallows
    everything, would hold the API's threads one by one. This costs about 4 µs a statement. After
    an error here psycopg2 closes the connection.
    """
    while (state := driver.poll()) != extensions.POLL_OK:
        waiting = select.poll()
        waiting.register(driver.fileno(), EVENTS[state])
        if not waiting.poll(settings.API_DATABASE_TIMEOUT_SECONDS * 1000):
            raise psycopg2.OperationalError("no answer within API_DATABASE_TIMEOUT_SECONDS")
