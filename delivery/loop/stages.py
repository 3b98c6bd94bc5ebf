"""What goes from one stage of the engine to the next, and the database connections of its threads."""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from delivery.database import PLANNED_ONCE
from delivery.deliver import Again, Prepared
from delivery.recorder import Outcome, Postponed
from delivery.sender import Answer, NoAnswer

# These connections do nothing but claim and record rows by their keys. On tables without statistics
# the planner would rather read them wholly.
BY_KEY_ONLY = (
    f"SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; {PLANNED_ONCE}"
)
# A claim that a crash of the server forgets is made again, and what was sent under it is recorded as late:
# one more way in which a fault between request and record leads to a second copy, and never to a loss.
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
    """A delivery that found no place, and when it comes back."""

    job: Job
    postponed: Postponed


class Judged(NamedTuple):
    """What becomes of a delivery after its request."""

    job: Job
    prepared: Prepared
    outcome: Outcome
