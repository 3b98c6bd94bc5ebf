"""The report: JSON for machines, a table for people, the timeline of one offending delivery."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.chaos.ledger import Verdict
from tests.chaos.records import KILLS, KINDS_OF, Evidence, Kind, Lane
from tests.chaos.recovery import percentile, recoveries

PROBLEMS_SHOWN = 20
NEAR_SECONDS = 10.0


def figures(verdict: Verdict, evidence: Evidence, *, workers: int) -> dict[str, Any]:
    """All figures, in the order in which they are printed."""
    waits = recoveries(evidence)
    kinds = [fault.kind for fault in evidence.faults]
    kills = sum(kind in KILLS for kind in kinds) + kinds.count(Kind.KILL_ALL_WORKERS) * (workers - 1)
    states = {
        name: verdict.states[name] for name in ("delivered", "exhausted", "cancelled", "held", "blocked")
    }
    return {
        "accepted": verdict.accepted,
        **states,
        "lost": verdict.lost,
        "duplicates": verdict.duplicates,
        "duplicates_explained": verdict.duplicates_explained,
        "kills": kills,
        "broker_faults": sum(kind in KINDS_OF[Lane.BROKER] for kind in kinds),
        "database_faults": sum(kind in KINDS_OF[Lane.DATABASE] for kind in kinds),
        "recovery_p99_s": round(percentile(waits, 0.99), 1),
        "recovery_max_s": round(waits[-1], 1) if waits else 0.0,
        "accepted_events": verdict.accepted_events,
        "requests": len(evidence.requests),
        "attempts": sum(attempt.sent for attempt in evidence.attempts),
        "unrecorded": verdict.unrecorded,
        "unrecorded_because_of": {str(kind): count for kind, count in verdict.explained_by.most_common()},
        "problems": len(verdict.problems),
        "api_answers": dict(evidence.answers),
    }


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def table(values: Mapping[str, Any]) -> str:
    return "\n".join(f"  {name:<22}{value}" for name, value in values.items())


def complaint(verdict: Verdict, evidence: Evidence, seed: int) -> str:
    """What is wrong: the seed, the first problems, and the story of one delivery."""
    lines = [f"FAILED with CHAOS_SEED={seed}"]
    for problem in verdict.problems[:PROBLEMS_SHOWN]:
        lines.append(
            f"  {problem.what}" + (f"  delivery {problem.delivery_id}" if problem.delivery_id else "")
        )
    if len(verdict.problems) > PROBLEMS_SHOWN:
        lines.append(f"  … and {len(verdict.problems) - PROBLEMS_SHOWN} more")
    offender = next((p.delivery_id for p in verdict.problems if p.delivery_id), None)
    return "\n".join([*lines, *(timeline(offender, evidence) if offender else ())])


def timeline(delivery_id: str, evidence: Evidence) -> Iterator[str]:
    """Everything that is known of one delivery, and the faults near it, in order of time."""
    row = next(row for row in evidence.deliveries if row.id == delivery_id)
    yield (
        f"delivery {row.id} {row.webhook_id} {row.path}: {row.state} ({row.reason}),"
        f" {row.attempts} attempts, {row.claim_number} claims, lease {row.lease_seconds} s"
    )
    moments = [(row.created, "created")]
    if row.finished:
        moments.append((row.finished, f"finished: {row.state}"))
    for a in (a for a in evidence.attempts if a.delivery_id == delivery_id):
        what = f"attempt {a.number} recorded: {a.status_code or a.error_class}, {a.duration_seconds:.3f} s"
        moments.append((a.recorded, f"{what}, signed at {a.timestamp}{', LATE' if a.late else ''}"))
    for r in (r for r in evidence.requests if (r.webhook_id, r.path) == (row.webhook_id, row.path)):
        moments.append((r.at, f"request of {r.peer.worker} arrived ({r.mood}), signed at {r.timestamp}"))
        if r.ended is not None:
            answered = f"{r.status or 'nothing'}{'' if r.complete else ', incomplete'}"
            moments.append((r.ended, f"its answer: {answered}"))
    first, last = min(moments)[0] - NEAR_SECONDS, max(moments)[0] + NEAR_SECONDS
    for fault in evidence.faults:
        if fault.ended >= first and fault.began <= last:
            moments.append((fault.began, f"FAULT {fault.kind} ({fault.target})"))
            moments.append((fault.ended, f"back after {fault.kind} ({fault.target}) {fault.note}"))
    for moment, what in sorted(moments):
        yield f"  {moment - row.created:+9.3f} s  {what}"
