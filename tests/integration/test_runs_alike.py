"""Reports do exactly the same one by one, in one call and the short way, whatever they are."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from freezegun import freeze_time
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery.models import Event
from runs.api import gathered, lean
from runs.models import Run, Step
from subscriptions import known_keys
from subscriptions.models import Organization
from tests.factories import Json, run, webhook, workflow
from tests.integration.executors import Executor

Post = Callable[[str, Any], Any]

NOW = "2026-03-01T12:00:00Z"
RUNS = ("run_a", "run_b", "run_c")
STEPS = (None, None, None, "one", "one", "two.b", "three")
WORKFLOWS: dict[str, Json] = {
    "run_a": {"outputs": {"result": "steps.one.output", "asked": "input.prompt"}},
    "run_b": {"dialect": "leap", "payload_format": "leap_v1"},
    "run_c": {"dialect": "eachlabs"},
}
RUN_MOVES = "start start start complete complete progress pause fail terminate time-out cancel".split()
STEP_MOVES = "start start complete complete fail".split()
ERROR = {"error": {"message": "It broke", "code": "E7"}}
BODIES: list[Any] = [
    *({}, {}, {}, {"output": "café \u0000 \ud800"}, {"output": {"b": [1.0, None], "a": 'a"b\\c,{}'}}),
    *(
        ERROR,
        ERROR,
        {"error": "late"},
        {"executor_id": "e1"},
        {"executor_id": "e2"},
        {"progress": "uploading"},
    ),
    *({"name": "Step", "input": {"x": 1}, "primary": 2, "metadata": {"m": "NULL"}}, {"colour": "red"}),
    *({"occurred_at": "2020-01-01T00:00:00Z"}, {"occurred_at": "2031-01-01T00:00:00Z"}, {"output": None}),
    {"artifacts": [{"kind": "file", "url": "https://files.example.com/1"}]},
    *({"occurred_at": "2026-03-01T12:00:01Z"}, {"progress": "uploading"}),
]


def told(chance: random.Random) -> Json:
    step = chance.choice(STEPS)
    report = {
        "run_id": chance.choice((*RUNS, *RUNS, "run_x")),
        "move": chance.choice(STEP_MOVES if step else RUN_MOVES),
        "report": chance.choice(BODIES),
    }
    return report | ({"step": step} if step else {})


def whole(run_id: str) -> list[Json]:
    """A run that goes well, if nothing comes between."""
    output: Json = {"report": {"output": {"of": run_id}}}
    one: Json = {"run_id": run_id, "step": "one"}
    moves: list[Json] = [
        {"run_id": run_id, "move": "start"},
        one | {"move": "start"},
        one | {"move": "complete"} | output,
        {"run_id": run_id, "move": "complete"} | output,
    ]
    return [{"report": {}} | move for move in moves]


def sequence(chance: random.Random) -> list[Json]:
    """Three whole runs side by side, and as much again at random places between."""
    turns = [run_id for run_id in RUNS for _ in whole(run_id)] + [None] * 12
    chance.shuffle(turns)
    left = {run_id: whole(run_id) for run_id in RUNS}
    return [told(chance) if turn is None else left[turn].pop(0) for turn in turns]


class World:
    """Three runs of three systems, who wants to know of them in which form, and all that comes of it."""

    def __init__(self, organization: Organization, api: APIClient, post: Post) -> None:
        """`post` sends the reports."""
        self.organization, self._post = organization, post
        #: what tells the two worlds apart, and the word for it in both
        self.words = {organization.public_id: "(organization)"}
        self.ids = {"run_x": "run_x"}
        webhook(api)
        webhook(api, payload_format="standard", events=["step.completed", "workflow.failed"])
        for name, values in WORKFLOWS.items():
            made = workflow(api, name=name, **values)["id"]
            url = f"https://hooks.example.com/{name}?token=secret"
            self.ids[name] = run(api, workflow_id=made, input={"prompt": "cats"}, webhook_url=url)["id"]
            self.words |= {made: f"(workflow of {name})", self.ids[name]: name}
            version = Run.objects.get(public_id=self.ids[name]).version.public_id
            self.words[version] = f"(version of {name})"
            for payload_format in ("leap_v1", "eachlabs_execution", "skyvern_run"):
                ends = ["workflow.completed", "workflow.failed"]
                webhook(api, payload_format=payload_format, events=ends, workflow_ids=[made])

    def one_by_one(self, reports: list[Json]) -> Any:
        results = []
        for one in reports:
            step = f"/steps/{one['step']}" if "step" in one else ""
            path = f"/v1/runs/{self.ids[one['run_id']]}{step}/{one['move']}"
            answered = self._post(path, one["report"])
            body = answered.json()
            outcome = {"state": body["status"]} if answered.status_code == 200 else {"error": body}
            results.append({"run_id": one["run_id"], "status": answered.status_code, **outcome})
        return self.said(results)

    def together(self, reports: list[Json], sizes: Sequence[int]) -> Any:
        left = [one | {"run_id": self.ids[one["run_id"]]} for one in reports]
        results: list[Json] = []
        for size in sizes:
            results += self.batch(left[:size])
            left = left[size:]
        return self.said(results)

    def batch(self, reports: list[Json]) -> list[Json]:
        answered = self._post("/v1/runs/batch", {"reports": reports})
        assert answered.status_code == 200
        results: list[Json] = answered.json()["results"]
        return results

    def rows(self) -> dict[str, list[Any]]:
        """All that the reports leave behind."""
        own = {"organization": self.organization}
        runs = Run.objects.filter(**own).order_by("id")
        steps = Step.objects.filter(run__organization=self.organization).order_by("run_id", "index")
        secret = "workflow_id version_id api_key_id encrypted_webhook_url"
        return {
            "runs": [self._values(row, secret) for row in runs],
            "steps": [self._values(row, "run_id") for row in steps],
            # Their ids say when they happened, which here is all at once.
            "events": sorted((self._story(event) for event in Event.objects.filter(**own)), key=repr),
        }

    def said(self, value: Any) -> Any:
        """In the words of both worlds."""
        if isinstance(value, dict):
            return {name: self.said(child) for name, child in value.items()}
        if isinstance(value, list):
            return [self.said(child) for child in value]
        if isinstance(value, str):
            for word, common in self.words.items():
                value = value.replace(word, common)
        return value

    def _values(self, row: Any, but_not: str) -> Any:
        left_out = {"id", "organization_id", "updated_at", *but_not.split()}
        names = [field.attname for field in row._meta.fields if field.attname not in left_out]
        return self.said({name: getattr(row, name) for name in names})

    def _story(self, event: Event) -> list[Any]:
        bodies = {
            body.payload_format: self.said(bytes(body.body).decode().replace(event.event_id, "(event)"))
            for body in event.bodies.all()
        }
        deliveries = sorted(
            [
                d.url,
                d.body and d.body.payload_format,
                d.webhook_id == event.event_id,
                d.state,
                d.subscription is None,
            ]
            for d in event.deliveries.all()
        )
        named = self.said([event.type, event.source, event.subject])
        return [*named, event.recipients, event.occurred_at, bodies, deliveries]


@pytest.fixture
def short(
    other_organization: Organization, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Post]:
    """Sends calls the short way, as far as they take it."""
    settings.API_KEY_CACHE_SECONDS = 60
    own = gathered.new_gathering()
    monkeypatch.setattr(lean, "gathering", lambda: own)
    with freeze_time(NOW):
        yield Executor(other_organization).post
    own.stop(5.0)
    known_keys.clear()


def ordinary(client: APIClient) -> Post:
    # Written by hand: the test client cannot send a lone surrogate.
    return lambda path, body: client.post(path, json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("way", ["together", "the short way", "together the short way"])
@pytest.mark.parametrize("seed", range(4))
def test_reports_leave_and_answer_what_they_do_one_by_one_the_ordinary_way(
    seed: int,
    way: str,
    api: APIClient,
    other_api: APIClient,
    organization: Organization,
    other_organization: Organization,
    short: Post,
) -> None:
    chance = random.Random(seed)
    reports = [*sequence(chance), *(told(chance) for _ in range(20))]
    # In calls of different sizes, so that some find what others have left.
    sizes = chance.choice([(44,), (20, 24), (1, 7, 36)])

    with freeze_time(NOW):
        one = World(organization, api, ordinary(api))
        other = World(other_organization, other_api, short if "short" in way else ordinary(other_api))
        expected = one.one_by_one(reports)
        said = other.together(reports, sizes) if "together" in way else other.one_by_one(reports)

    assert said == expected
    assert other.rows() == one.rows()
    assert {result["status"] for result in expected} == {200, 404, 409, 422}
