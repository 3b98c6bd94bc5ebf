"""What is known at the end: who was told what, the rows, the receiver's record, the faults.

Times are Unix seconds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Lane(StrEnum):
    """Faults of one lane follow one another; those of different lanes may overlap."""

    PROCESSES = "processes"
    BROKER = "broker"
    DATABASE = "database"


class Kind(StrEnum):
    """What is done to the stack."""

    KILL_WORKER = "kill a worker"
    KILL_ALL_WORKERS = "kill all workers"
    KILL_API = "kill the API"
    KILL_BEAT = "kill beat"
    RESTART_WORKER = "restart a worker"
    RESTART_API = "restart the API"
    KILL_BROKER = "kill Valkey"
    RESTART_BROKER = "restart Valkey"
    PAUSE_BROKER = "pause Valkey"
    FLUSH_BROKER = "flush Valkey"
    KILL_DATABASE = "kill PostgreSQL"
    RESTART_DATABASE = "restart PostgreSQL"
    PAUSE_DATABASE = "pause PostgreSQL"
    CUT_CONNECTIONS = "cut one client's connections"
    DIED = "died by itself"


KINDS_OF = {
    Lane.PROCESSES: (
        *(Kind.KILL_WORKER, Kind.KILL_ALL_WORKERS, Kind.KILL_API, Kind.KILL_BEAT),
        *(Kind.RESTART_WORKER, Kind.RESTART_API),
    ),
    Lane.BROKER: (Kind.KILL_BROKER, Kind.PAUSE_BROKER, Kind.FLUSH_BROKER, Kind.RESTART_BROKER),
    Lane.DATABASE: (Kind.RESTART_DATABASE, Kind.KILL_DATABASE, Kind.PAUSE_DATABASE, Kind.CUT_CONNECTIONS),
}
KILLS = frozenset({Kind.KILL_WORKER, Kind.KILL_ALL_WORKERS, Kind.KILL_API, Kind.KILL_BEAT})
# Only these can come between a receiver's answer and our commit. A broker never can, nor the API,
# nor a worker that is asked to stop.
KEEP_FROM_RECORDING = frozenset({Kind.KILL_WORKER, Kind.KILL_ALL_WORKERS, *KINDS_OF[Lane.DATABASE]})


# What a fault's note begins with where something is wrong.
DID_NOT_STOP, START_FAILED, NOT_DONE = "did not stop", "start failed", "not done"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that was done to the stack, from the act until the service was back."""

    kind: Kind
    target: str
    began: float
    struck: float
    """When the act was over; of a kill: from now on no process of it is left."""
    ended: float
    note: str = ""
    """What was not as it should be, such as a process that did not stop when asked to."""


@dataclass
class Peer:
    """Whose connection it is. Unknown for those that were over before anybody looked."""

    port: int
    worker: str | None = None


@dataclass(kw_only=True)
class Request:
    """One request as the receiver saw it, answered or not."""

    path: str
    webhook_id: str
    timestamp: str
    signature: str
    body_sha256: str
    at: float
    mood: str
    peer: Peer
    status: int | None = None
    """What was answered, if anything was."""
    complete: bool = False
    """Whether the last byte of the answer was handed to the network while the sender was listening."""
    ended: float | None = None

    @property
    def accepted(self) -> bool:
        return self.complete and self.status is not None and 200 <= self.status < 300


Key = tuple[str, str]
"""An event as its reporter knows it: its own id or the run's id, and the type."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A call that the API answered with 2xx, and that makes an event."""

    key: Key
    paths: frozenset[str]
    """Targets that must be among its deliveries: those that nobody deactivates."""
    recipients: int | None = None
    """The number of deliveries that the answer named, if it did."""


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """An event as the database has it."""

    event_id: str
    type: str
    subject: str
    recipients: int

    @property
    def key(self) -> Key:
        return self.subject or self.event_id, self.type


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """A delivery as the database has it."""

    id: str
    event_id: str
    webhook_id: str
    path: str
    state: str
    reason: str
    attempts: int
    claim_number: int
    lease_seconds: float
    created: float
    finished: float | None
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """An attempt as the database has it."""

    delivery_id: str
    number: int
    success: bool
    status_code: int | None
    error_class: str
    late: bool
    timestamp: str
    """The header `webhook-timestamp` that was sent: the same on the receiver's record."""
    recorded: float
    next_retry: float | None
    duration_seconds: float

    @property
    def sent(self) -> bool:
        """False for entries of the log that say why there was no request: they were not signed."""
        return self.timestamp != ""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that the ledger judges."""

    told: Sequence[Told]
    unanswered: Collection[Key] = ()
    """Calls that were given up: the event may exist or not."""
    cancelled: Collection[str] = ()
    """Deliveries whose cancellation was answered with 2xx."""
    events: Sequence[EventRow] = ()
    deliveries: Sequence[DeliveryRow] = ()
    attempts: Sequence[AttemptRow] = ()
    requests: Sequence[Request] = ()
    faults: Sequence[Fault] = ()
    answers: Mapping[str, int] = field(default_factory=dict)
    """How often the API gave which answer."""
    refusals: Sequence[str] = ()
    """Calls that the API refused, though nothing was wrong with them."""
    silent: Collection[str] = ()
    """Workers that run but took nothing when all was quiet again."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """The Standard Webhooks secret of each path."""
