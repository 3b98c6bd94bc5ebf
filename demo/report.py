"""Holds the service's account of the runs against the receivers' own record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ENDED = ("delivered", "exhausted", "cancelled", "blocked")


@dataclass(frozen=True)
class Account:
    """The events of each run as `GET /v1/runs/{id}/webhooks` tells them."""

    events: Mapping[str, Sequence[Mapping[str, Any]]]

    @property
    def deliveries(self) -> list[Mapping[str, Any]]:
        return [delivery for events in self.events.values() for e in events for delivery in e["deliveries"]]

    @property
    def ended(self) -> bool:
        return all(delivery["state"] in ENDED for delivery in self.deliveries)


@dataclass(frozen=True)
class Verdict:
    """The figures of the last line, and everything that is not as it should be."""

    events: int
    deliveries: int
    verified: int
    retried: int
    lost: int
    problems: tuple[str, ...]


def judge(
    account: Account, record: Sequence[Mapping[str, Any]], golden: Mapping[str, Mapping[str, Any]]
) -> Verdict:
    accepted = {(entry["path"], entry["webhook_id"]) for entry in record if entry["status"] == 204}
    keys = {_key(delivery) for delivery in account.deliveries}
    lost = keys - accepted
    retried = [delivery for delivery in account.deliveries if delivery["attempts"] > 1]
    problems = [f"lost: {path} never accepted {event}" for path, event in sorted(lost)]
    problems += [
        f"the service calls {delivery['id']} {delivery['state']} ({delivery['reason']})"
        for delivery in account.deliveries
        if delivery["state"] != "delivered"
    ]
    problems += [f"bad signature at {entry['path']}" for entry in record if not entry["verified"]]
    problems += _differences(record, golden)
    attempts = sum(delivery["attempts"] for delivery in account.deliveries)
    if attempts != len(record):
        problems.append(f"{attempts} attempts on record, {len(record)} requests at the receivers")
    if not all(delivery["attempts"] == 3 for delivery in account.deliveries if _is_flaky(delivery)):
        problems.append("the failing receiver did not get exactly three attempts per event")
    return Verdict(
        events=sum(len(events) for events in account.events.values()),
        deliveries=len(account.deliveries),
        verified=len(accepted & keys),
        retried=len(retried),
        lost=len(lost),
        problems=tuple(problems),
    )


def timeline(name: str, run: str, events: Sequence[Mapping[str, Any]]) -> str:
    """One run: its events, each target, each attempt with its answer and milliseconds."""
    lines = [f"\n{name}  {run}"]
    for event in events:
        lines.append(f"  {event['occurred_at'][:23]}  {event['type']}")
        for delivery in event["deliveries"]:
            attempts = "  ".join(
                f"#{a['attempt']} {a['status_code'] or a['error_class']} {_milliseconds(a)}"
                for a in delivery["attempt_log"]
            )
            lines.append(f"      {_key(delivery)[0]:<16} {delivery['state']:<10} {attempts}")
    return "\n".join(lines)


def _milliseconds(attempt: Mapping[str, Any]) -> str:
    return "not sent" if attempt["duration_ms"] is None else f"{attempt['duration_ms']:.0f} ms"


def _key(delivery: Mapping[str, Any]) -> tuple[str, str]:
    return urlsplit(delivery["url"]).path, delivery["webhook_id"]


def _is_flaky(delivery: Mapping[str, Any]) -> bool:
    return _key(delivery)[0] == "/flaky"


def _differences(record: Sequence[Mapping[str, Any]], golden: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Callbacks of seed 000's runs must be the seed's bodies, key for key in the seed's order."""
    found = {}
    for entry in record:
        if entry["path"] == "/callback-leap":
            body = json.loads(entry["body"])
            found[body["id"]] = body
    return [
        f"the callback of {run} differs from seed 000: {found.get(run)}"
        for run, expected in golden.items()
        if json.dumps(found.get(run)) != json.dumps(expected)
    ]
