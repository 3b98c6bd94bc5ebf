"""How far a replay is, and what became of the deliveries that it made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from delivery.models import Delivery, Replay
from delivery.replays.model import ReplayState
from delivery.states import ENDED, State

# Of each state; counting so many takes about 10 ms.
COUNTED_MAX = 50_000


@dataclass(frozen=True, kw_only=True)
class Progress:
    replay: Replay
    #: deliveries of each state that there are, up to COUNTED_MAX
    by_state: Mapping[State, int]
    #: deliveries made per second so far, pauses included; None before there is one
    rate_per_second: float | None
    #: until nothing is left to look at; None: not running, or nobody knows how much there is
    left: timedelta | None

    @property
    def delivered(self) -> int:
        return self.by_state.get(State.DELIVERED, 0)

    @property
    def failed(self) -> int:
        """Those that ended otherwise."""
        return sum(count for state, count in self.by_state.items() if state in ENDED) - self.delivered

    @property
    def is_at_work(self) -> bool:
        """Will looking again tell more?"""
        under_way = sum(self.by_state.get(state, 0) for state in (State.PENDING, State.WAITING))
        return self.replay.state == ReplayState.RUNNING or under_way > 0


def progress(replay: Replay, *, now: datetime) -> Progress:
    made = {state: Delivery.objects.filter(replay=replay, state=state) for state in State}
    counts = {state: rows[:COUNTED_MAX].count() for state, rows in made.items()}
    until = now if replay.state == ReplayState.RUNNING else replay.updated_at
    seconds = (until - replay.created_at).total_seconds()
    rate = replay.replayed / seconds if replay.replayed and seconds > 0 else None
    return Progress(
        replay=replay,
        by_state={state: count for state, count in counts.items() if count},
        rate_per_second=rate,
        left=_left(replay, seconds),
    )


def _left(replay: Replay, seconds: float) -> timedelta | None:
    """As fast as it looked at deliveries until now, or at first as its rate allows."""
    if replay.state != ReplayState.RUNNING or replay.matched is None:
        return None
    so_far = replay.examined / seconds if replay.examined and seconds > 0 else replay.rate_per_second
    return timedelta(seconds=max(0, replay.matched - replay.examined) / so_far)
