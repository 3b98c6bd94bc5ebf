"""schemathesis against the API with real PostgreSQL: all checks, a world of known things."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from django.conf import settings
from rest_framework.test import APIClient
from schemathesis.engine import events, from_schema

from delivery import queue
from subscriptions import services
from subscriptions.idempotency import HEADER
from subscriptions.models import Scope
from tests.fuzz.accepted import is_accepted
from tests.fuzz.server import serving
from tests.fuzz.world import EVERYWHERE, NAMED, Ids, Worker, body_of, kinds_of, seed

# Limits of number, which a thousand calls would run into instead of what they are about.
NO_LIMIT = 10**6
LIMITS = ("REPLAYS_UNFINISHED_PER_ORGANIZATION_MAX", "SUBSCRIPTIONS_PER_ORGANIZATION_MAX")
# The other third are random, and what has been answered before.
KNOWN_ID_PROBABILITY = 0.67


@dataclass(frozen=True, kw_only=True)
class Config:
    """`examples` is per operation; `phases` are schemathesis's, of which `coverage` is the longest."""

    examples: int
    seed: int
    phases: tuple[str, ...] = ("examples", "coverage", "fuzzing", "stateful")


@dataclass
class Outcome:
    """What was asked, what was answered, and what was wrong with it."""

    operations: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return sum(counted.total() for counted in self.statuses.values())

    @property
    def never_accepted(self) -> list[str]:
        """Operations without any 2xx."""
        return [
            name for name in self.operations if not any(200 <= status < 300 for status in self.statuses[name])
        ]

    @property
    def faults(self) -> list[str]:
        """Operations with an answer of 500 or more."""
        return [name for name, counted in self.statuses.items() if max(counted) >= 500]


def run(config: Config) -> Outcome:
    """Needs a migrated, empty database; leaves it full."""
    from webhooks_project.wsgi import application

    with world() as (ids, key, key_id), serving(application) as url:
        document = requests.get(f"{url}/openapi.json", timeout=30).json()
        schema = schemathesis.openapi.from_dict(
            with_examples(document, ids), config=settled(config, url, key, ids)
        )

        @schema.hook
        def filter_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> bool:
            """Not the key that all calls are made with: it could be revoked."""
            return str((path_parameters or {}).get("key_id")) != str(key_id)

        @schema.hook
        def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
            return not is_accepted(failure, case, response)

        outcome = Outcome(operations=[name for name, _ in operations(document)])
        with keys_of_their_own():
            for event in from_schema(schema).execute():
                note(outcome, event)
    return outcome


@contextmanager
def world() -> Iterator[tuple[Ids, str, int]]:
    """Known things, and an API key of every scope that also signs, with its number."""
    worker = Worker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "publisher", lambda: worker)
        for limit in LIMITS:
            patch.setattr(settings, limit, NO_LIMIT)
        organization, _ = services.organization_create(name="Fuzz")
        row, key = services.api_key_create(organization=organization, scopes=Scope.values, signs=True)
        ids = seed(APIClient(HTTP_AUTHORIZATION=f"Bearer {key}"), worker)
        yield ids | {"own organization": [organization.public_id]}, key, row.pk


@contextmanager
def keys_of_their_own() -> Iterator[None]:
    """Nine of ten calls are not taken for an earlier one with the same Idempotency-Key."""
    numbers = count()

    def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        key, number = (case.headers or {}).get(HEADER), next(numbers)
        if key and number % 10:
            case.headers[HEADER] = f"{key[:200]}{number}"

    schemathesis.hook(before_call)
    try:
        yield
    finally:
        schemathesis.hooks.unregister(before_call)


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def with_examples(document: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """The document, to which this world is known: a few ids as examples, and what organizations there are."""
    for name, operation in operations(document):
        kinds = kinds_of(name)
        for parameter in operation.get("parameters", []):
            kind = kinds.get(f"{parameter['in']}.{parameter['name']}")
            if parameter["name"] == "X-Org-Id":
                parameter["schema"] = {"enum": ids["own organization"]}
            elif kind is not None:
                parameter["schema"] = parameter["schema"] | {"examples": ids[kind][:2]}
        for content in contents(operation):
            # The document's own are of another world.
            content.pop("example", None)
        body = body_of(name, ids)
        if body is not None:
            operation["requestBody"]["content"]["application/json"]["example"] = body
    return document


def contents(operation: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is sent and answered, in each media type."""
    for message in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from message.get("content", {}).values()


def settled(config: Config, url: str, key: str, ids: Ids) -> schemathesis.Config:
    names = {kind: f"ids-{number}" for number, kind in enumerate(ids)}

    def known(kinds: Mapping[str, str]) -> dict[str, Any]:
        return {
            place: {"dictionary": names[kind], "probability": KNOWN_ID_PROBABILITY}
            for place, kind in kinds.items()
        }

    return schemathesis.Config.from_dict(
        {
            "base-url": url,
            "seed": config.seed,
            "continue-on-failure": True,
            "auth": {"openapi": {"bearer": {"bearer": key}}},
            "generation": {"max-examples": config.examples, "no-shrink": True, "database": "none"},
            "phases": {
                name: {"enabled": name in config.phases}
                for name in ("examples", "coverage", "fuzzing", "stateful")
            },
            "dictionaries": {names[kind]: {"values": values} for kind, values in ids.items()},
            "parameters": known(EVERYWHERE),
            "operations": [
                {"include-name": name, "parameters": known(kinds)} for name, kinds in NAMED.items()
            ],
        }
    )


def note(outcome: Outcome, event: Any) -> None:
    if isinstance(event, events.ScenarioFinished):
        for case_id, interaction in event.recorder.interactions.items():
            if interaction.response is not None:
                label = event.recorder.cases[case_id].value.operation.label
                outcome.statuses[label][interaction.response.status_code] += 1
        for case_id, checks in event.recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    outcome.failures.append(told(event.recorder, case_id, check))
    elif isinstance(event, events.NonFatalError):
        outcome.errors.append(f"{event.label}: {event.value!r}")
    elif isinstance(event, events.FatalError):
        outcome.errors.append(f"{event.exception!r}")


def told(recorder: Any, case_id: str, check: Any) -> str:
    """A failure in a few lines: what was asked, what was answered, what is wrong with that."""
    case, interaction = recorder.cases[case_id].value, recorder.interactions[case_id]
    body = json.dumps(case.body, default=str)[:500]
    answer = interaction.response.content[:500] if interaction.response else None
    status = interaction.response.status_code if interaction.response else None
    return (
        f"{check.name} {case.operation.label}\n  {check.failure_info.failure.message[:700]}\n"
        f"  {interaction.request.method} {interaction.request.uri[:300]} {body}\n  {status} {answer!r}"
    )
