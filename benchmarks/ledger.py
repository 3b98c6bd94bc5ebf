"""Whether everything that the API accepted reached the sink, and how often. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

Arrival = tuple[str, str, float]
"""Path, webhook-id and time of a request at the sink."""
Expected = tuple[str, str]
"""Path and webhook-id of a request that has to come exactly once."""


@dataclass(frozen=True)
class Ledger:
    lost: int
    duplicates: int
    strangers: int
    """Requests that nobody had asked for."""

    def complaints(self) -> tuple[str, ...]:
        counts = {"lost": self.lost, "doubled": self.duplicates, "sent without cause": self.strangers}
        return tuple(f"{count} {what}" for what, count in counts.items() if count)


def judge(expected: Iterable[Expected], arrivals: Iterable[Arrival]) -> Ledger:
    """Hold what had to come against what came, request by request."""
    wanted = set(expected)
    came = Counter((path, id_) for path, id_, _ in arrivals)
    return Ledger(
        lost=len(wanted - came.keys()),
        duplicates=sum(count - 1 for key, count in came.items() if key in wanted),
        strangers=sum(count for key, count in came.items() if key not in wanted),
    )


def latencies_ms(sent: dict[str, float], arrivals: Iterable[Arrival]) -> list[float]:
    """From the call that reported an event to each first arrival of it."""
    first: dict[Expected, float] = {}
    for path, id_, at in arrivals:
        if id_ in sent:
            first.setdefault((path, id_), 1000 * (at - sent[id_]))
    return list(first.values())
