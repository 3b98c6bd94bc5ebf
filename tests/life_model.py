"""What the life of a delivery should be, in as few words as possible: no rows, no clock, no locks.

tests/integration/test_delivery_life.py lets the product and this model live through the same days.
"""

from dataclasses import dataclass, field
from uuid import UUID

from delivery.states import ENDED, OPEN, State

P, W, H = State.PENDING, State.WAITING, State.HELD
D, X, C, B = State.DELIVERED, State.EXHAUSTED, State.CANCELLED, State.BLOCKED
# ARCHITECTURE.md's edges; a retry leads from waiting to waiting.
EDGES = {
    "B": {(P, W)},
    "C": {(P, D), (W, D)},
    "D": {(P, X), (W, X)},
    "E": {(P, B), (W, B)},
    "F, G, L": {(P, C), (W, C), (H, C)},
    "H": {(C, D)},
    "I, J": {(P, H), (W, H)},
    "K": {(H, P), (H, W)},
    # Its lease had run out when it was held, but nobody had claimed it since: its record counts.
    "B to E of such a worker": {(H, D), (H, X), (H, B)},
}
ALLOWED = {edge for edges in EDGES.values() for edge in edges}
SCHEDULE = (30.0, 30.0)
CLAIMS_LOST_MAX = 2


@dataclass(eq=False)
class Listener:
    """A subscription."""

    pk: int
    active: bool = True
    disabled: bool = False
    deleted: bool = False

    @property
    def listens(self) -> bool:
        return self.active and not self.disabled


@dataclass(eq=False)
class Told:
    """A delivery; `listener` is None for a callback."""

    id: UUID
    event: UUID
    body: bytes
    listener: Listener | None
    state: State = P
    attempts: int = 0
    claims: int = 0
    lost: int = 0
    due: bool = True
    leased: bool = False
    #: how often the receiver accepted it, whatever we know of that
    accepted: int = 0
    before: State = P

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def claimable(self) -> bool:
        return self.state in OPEN and self.due and not self.leased

    @property
    def sendable(self) -> bool:
        return self.lost < CLAIMS_LOST_MAX and (self.listener is None or self.listener.listens)

    def claim(self) -> None:
        self.claims += 1
        self.lost += 1
        self.leased = True

    def move(self, state: State) -> None:
        self.state = state
        self.due = state is P
        if state is H:
            self.leased = False

    def recover(self) -> None:
        self.move(W if self.attempts else P)
        self.due, self.lost = True, 0


@dataclass
class Life:
    listeners: list[Listener] = field(default_factory=list)
    deliveries: dict[UUID, Told] = field(default_factory=dict)

    def of(self, listener: Listener) -> list[Told]:
        return [told for told in self.deliveries.values() if told.listener is listener]

    def stop(self, listener: Listener) -> None:
        """Its owner does not want it any more."""
        for told in self.of(listener):
            if not told.ended:
                told.move(C)
        listener.active = False

    def disable(self, listener: Listener) -> None:
        """The service stops it; what is on its way stays there."""
        listener.disabled = True
        for told in self.of(listener):
            if told.state in OPEN and not told.leased:
                told.move(H)

    def enable(self, listener: Listener) -> None:
        listener.active, listener.disabled = True, False

    def wake_up(self, told: Told, answer: str) -> bool:
        """A worker gets the message; is anything sent?"""
        if not told.claimable:
            return False
        sendable = told.sendable
        poison = told.lost >= CLAIMS_LOST_MAX
        told.claim()
        if not sendable:
            disabled = told.listener is not None and told.listener.disabled
            told.move(H if poison or disabled else C)
            return False
        self.record(told, answer, claim=told.claims, attempt=told.attempts + 1)
        return True

    def record(self, told: Told, answer: str, *, claim: int, attempt: int) -> bool:
        """A worker writes down what came back; does the delivery take it?"""
        taken = told.claims == claim and told.attempts == attempt - 1
        told.accepted += answer == "accepted"
        if taken:
            told.attempts, told.lost, told.leased = attempt, 0, False
            if not told.ended or answer == "accepted":
                told.move(self._after(told, answer, attempt))
        if answer == "gone" and told.listener is not None and told.listener.listens:
            self.disable(told.listener)
        return taken

    def _after(self, told: Told, answer: str, attempt: int) -> State:
        fixed = {"accepted": D, "refused": B, "gone": X if told.listener is None else H}
        return fixed.get(answer) or (X if attempt > len(SCHEDULE) else W)

    def replayable(self, told: Told) -> bool:
        others = (o for o in self.deliveries.values() if o is not told and o.event == told.event)
        on_its_way = any(o.listener is told.listener and not o.ended for o in others)
        return told.ended and (told.listener is None or told.listener.listens) and not on_its_way
