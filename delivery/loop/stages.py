"""What goes from one stage of the engine to the next, and the database connections of its threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from delivery.deliver import Again, Prepared
from delivery.recorder import Outcome
from delivery.sender import Answer, NoAnswer

# These connections do nothing but claim and record rows by their keys. On tables without statistics
# the planner would rather read them wholly.
BY_KEY_ONLY = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
# A claim that a crash of the server forgets is made again; nobody was told of it.
FORGETFUL = "SET synchronous_commit = off"


class Job(NamedTuple):
    """A message: make this attempt, then call `finish` with the retry that Celery is to hold, or a fault."""

    delivery_id: UUID
    attempt: int
    finish: Callable[[Again | Exception | None], None]


class Ended(NamedTuple):
    """A request that is over."""

    job: Job
    prepared: Prepared
    result: Answer | NoAnswer


class Away(NamedTuple):
    """A delivery that found no place; it comes back after so many seconds."""

    job: Job
    prepared: Prepared
    seconds: float


class Judged(NamedTuple):
    """What becomes of a delivery after its request."""

    job: Job
    prepared: Prepared
    outcome: Outcome


@dataclass
class OwnConnection:
    """This thread's database connection, with settings of its own."""

    settings: str
    _seen: object = field(default=None, init=False)

    def ready(self) -> None:
        connection.ensure_connection()
        if connection.connection is not self._seen:
            with connection.cursor() as cursor:
                cursor.execute(self.settings)
            self._seen = connection.connection


def close_connection() -> None:
    connection.close()  # this thread's: what `connection` means is decided at the call
