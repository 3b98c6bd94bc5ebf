"""The short way of executors' calls: it answers what is plain as the ordinary way would, and nothing else."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event as Flag
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from delivery.api.ingest import Gathering, in_bounds
from delivery.api.lean import common_headers
from delivery.models import Event
from runs.api import gathered, lean
from runs.models import Run
from subscriptions import known_keys
from subscriptions.models import Organization, Scope
from tests.factories import at_once, workflow
from tests.integration.executors import Answered, Executor
from tests.integration.moves import aside, wait_until_blocked
from tests.integration.test_queries import statements
from tests.integration.test_recorder import move_database_away

ORDINARY = {"QUERY_STRING": "a=1"}
OUTPUT = {"output": {"text": "café \u0000 \ud800", "number": 10**30}}
# A whole run: path below it, body.
STORY: list[tuple[str, Any]] = [
    ("/start", {"executor_id": "e1"}),
    ("/progress", {"progress": "uploading"}),
    ("/steps/one/start", {"name": "One", "input": 1}),
    ("/steps/one/complete", OUTPUT),
    ("/pause", {}),
    ("/start", {}),
    ("/complete", OUTPUT),
]


@pytest.fixture(autouse=True)
def limits(kept_and_counted: None) -> None:
    """Before anything else that a test asks for."""


@pytest.fixture(autouse=True)
def own_gathering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gathering[Any]]:
    own = gathered.new_gathering()
    monkeypatch.setattr(lean, "gathering", lambda: own)
    common_headers.cache_clear()
    yield own
    own.stop(5.0)
    known_keys.clear()


@pytest.fixture
def executor(organization: Organization) -> Executor:
    return Executor(organization)


@pytest.fixture
def workflow_id(api: APIClient) -> str:
    made: str = workflow(api)["id"]
    return made


def new_run(executor: Executor, workflow_id: str, **environ: Any) -> Answered:
    body = {
        "workflow_id": workflow_id,
        "input": {"a": 1},
        "webhook_url": "https://hooks.example.com/in?token=x",
    }
    return executor.post("/v1/runs", body, **environ)


def told(executor: Executor, workflow_id: str, **environ: Any) -> list[Answered]:
    """All answers of a whole run."""
    answers = [new_run(executor, workflow_id, **environ)]
    run_id = answers[0].body["id"]
    answers += [executor.post(f"/v1/runs/{run_id}{path}", body, **environ) for path, body in STORY]
    reports = [
        {"run_id": run_id, "move": "complete", "report": OUTPUT},
        {"run_id": "run_x", "move": "start"},
        5,
    ]
    return [*answers, executor.post("/v1/runs/batch", {"reports": reports}, **environ)]


def comparable(answers: list[Answered]) -> list[str]:
    """Without what differs between any two runs."""
    text = [repr(one.body).replace(answers[0].body["id"], "(run)") for one in answers]
    return [re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "(time)", one) for one in text]


def test_the_answers_are_those_of_the_ordinary_way(executor: Executor, workflow_id: str) -> None:
    short, ordinary = told(executor, workflow_id), told(executor, workflow_id, **ORDINARY)

    assert ({one.was_short for one in short}, {one.was_short for one in ordinary}) == ({True}, {False})
    assert [one.status for one in short] == [one.status for one in ordinary]
    assert comparable(short) == comparable(ordinary)
    changing = ("X-RateLimit-Remaining", "X-RateLimit-Reset", "Content-Length")
    for one, other in zip(short, ordinary, strict=True):
        assert one.headers.keys() == other.headers.keys() | {"Content-Length"}
        for name in one.headers.keys() - changing:
            assert one.headers[name] == other.headers[name], name


def test_without_the_scope_to_read_it_the_url_is_masked(organization: Organization, workflow_id: str) -> None:
    blind, seeing = Executor(organization, [Scope.RUNS_WRITE]), Executor(organization)

    shown = [new_run(one, workflow_id) for one in (blind, seeing)]

    assert [one.was_short for one in shown] == [True, True]
    assert "token=x" not in shown[0].body["webhook_url"]
    assert shown[1].body["webhook_url"].endswith("token=x")


@pytest.mark.parametrize(
    "out_of_the_ordinary",
    [
        {"QUERY_STRING": "format=json"},
        {"HTTP_IDEMPOTENCY_KEY": "once"},
        {"HTTP_X_ORG_ID": "org_other"},
        {"HTTP_ACCEPT": "text/html"},
        {"CONTENT_TYPE": "text/plain"},
        {"CONTENT_LENGTH": "1000000000"},
        {"HTTP_AUTHORIZATION": "Bearer rhk_unknown"},
        {"REQUEST_METHOD": "PUT"},
        {"PATH_INFO": "/v1/runs/run_a/steps/one/pause"},
        {"PATH_INFO": "/v1/runs/run_a/webhooks"},
        {"PATH_INFO": "/v1/runs/run a/start"},
        {"PATH_INFO": "/v1/runs/run_a/start/"},
    ],
    ids=str,
)
def test_a_call_that_is_not_plain_is_left_to_the_ordinary_way(
    executor: Executor, workflow_id: str, out_of_the_ordinary: dict[str, Any]
) -> None:
    path = f"/v1/runs/{new_run(executor, workflow_id).body['id']}/start"

    assert not executor.post(path, {}, **out_of_the_ordinary).was_short
    assert executor.post(path).was_short


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/runs", {}),
        ("/v1/runs", {"workflow_id": "wf_nobody"}),
        ("/v1/runs", {"workflow_id": "(workflow)", "webhook_url": "ftp://hooks.example.com"}),
        ("/v1/runs", {"workflow_id": "(workflow)", "id": "run_mine"}),
        ("/v1/runs", {"workflow_id": "(workflow)", "colour": "red"}),
        ("/v1/runs/batch", {"reports": []}),
        ("/v1/runs/batch", {}),
        ("/v1/runs/run_nobody/start", {}),
        ("/v1/runs/(run)/start", b"{"),
        ("/v1/runs/(run)/start", b"[]"),
        ("/v1/runs/(run)/start", {"executor_id": 1}),
        ("/v1/runs/(run)/start", {"occurred_at": "2031-01-01T00:00:00Z"}),
        ("/v1/runs/(run)/complete", {}),
        ("/v1/runs/(run)/fail", {}),
        ("/v1/runs/(run)/steps/one/start", {}),
        ("/v1/runs/(run)/steps/one/complete", {}),
    ],
)
def test_what_is_refused_is_refused_the_ordinary_way_and_leaves_nothing(
    executor: Executor, workflow_id: str, path: str, body: Any
) -> None:
    run_id = new_run(executor, workflow_id).body["id"]
    path = path.replace("(run)", run_id)
    if isinstance(body, dict) and body.get("workflow_id") == "(workflow)":
        body = body | {"workflow_id": workflow_id}
    before = list(Run.objects.values())

    answered = executor.post(path, body)

    assert not answered.was_short
    assert answered.status[:3] in ("400", "403", "404", "409", "422")
    assert answered.body == executor.post(path, body, **ORDINARY).body
    assert list(Run.objects.values()) == before
    assert not Event.objects.exists()


def test_another_organizations_run_and_workflow_are_not_found(
    executor: Executor, workflow_id: str, other_organization: Organization
) -> None:
    run_id = new_run(executor, workflow_id).body["id"]
    other = Executor(other_organization)

    assert other.post(f"/v1/runs/{run_id}/start").status == "404 Not Found"
    assert new_run(other, workflow_id).status == "404 Not Found"
    assert Run.objects.get().status == "queued"


def test_a_known_external_id_gives_the_first_run(executor: Executor, workflow_id: str) -> None:
    body = {"workflow_id": workflow_id, "external_id": "mine"}

    first, second = executor.post("/v1/runs", body), executor.post("/v1/runs", body)

    assert [(one.status_code, one.was_short) for one in (first, second)] == [(201, True), (200, False)]
    assert first.body["id"] == second.body["id"]


def test_calls_at_the_same_time_are_one_transaction(
    executor: Executor,
    workflow_id: str,
    own_gathering: Gathering[Any],
    monkeypatch: pytest.MonkeyPatch,
    subscribe: Callable[..., Any],
) -> None:
    subscribe()
    runs = [new_run(executor, workflow_id).body["id"] for _ in range(6)]
    captured: list[list[str]] = []
    gate, asked, put, stored = Flag(), [0], own_gathering.put, gathered._stored

    def watched(calls: Any, verdicts: Any) -> Any:
        gate.wait(5.0)
        connection.force_debug_cursor = True
        with CaptureQueriesContext(connection) as seen:
            answers = stored(calls, verdicts)
        captured.append(statements(seen))
        return answers

    def counting(call: Any) -> None:
        put(call)
        asked[0] += 1
        if asked[0] == len(runs):
            gate.set()

    monkeypatch.setattr(gathered, "_stored", watched)
    monkeypatch.setattr(own_gathering, "put", counting)

    answered = at_once(*[lambda run=run: executor.post(f"/v1/runs/{run}/start") for run in runs])

    assert [(one.was_short, one.body["id"]) for one in answered] == [(True, run) for run in runs]
    # Whoever came while the first was under way, which waited for all to have come.
    assert len(captured) <= 2
    assert captured == [
        [
            "BEGIN",
            "EXECUTE runhooks_hold_runs",
            "EXECUTE runhooks_read_all_steps",
            "EXECUTE runhooks_recipients",
            "EXECUTE runhooks_write_runs",
            "EXECUTE runhooks_store",
            "COMMIT",
        ]
    ] * len(captured)


def test_reports_of_one_run_at_the_same_time_are_decided_one_after_another(
    executor: Executor, workflow_id: str
) -> None:
    run_id = new_run(executor, workflow_id).body["id"]

    answered = at_once(
        *[
            lambda number=number: executor.post(f"/v1/runs/{run_id}/start", {"executor_id": f"e{number}"})
            for number in range(6)
        ]
    )

    assert sorted(one.status_code for one in answered) == [200, *[409] * 5]
    (winner,) = (one.body["executor_id"] for one in answered if one.status_code == 200)
    assert Run.objects.get().executor_id == winner


def test_who_waits_for_a_run_that_somebody_holds_holds_nobody_up(
    executor: Executor, workflow_id: str
) -> None:
    held, free = (new_run(executor, workflow_id).body["id"] for _ in range(2))

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Run.objects.select_for_update().get(public_id=held)
        waiting = aside(pool, lambda: executor.post(f"/v1/runs/{held}/start"))
        wait_until_blocked()
        assert answer_of(executor.post(f"/v1/runs/{free}/start"))["status"] == "running"
        assert not waiting.done()

    assert (waiting.result().status_code, waiting.result().was_short) == (200, False)


def answer_of(answered: Answered) -> Any:
    assert answered.status_code == 200, answered
    return answered.body


def test_a_large_batch_holds_up_no_other_s_single_reports(executor: Executor, workflow_id: str) -> None:
    run_id = new_run(executor, workflow_id).body["id"]
    report = {"run_id": run_id, "move": "progress", "report": {"progress": "x"}}
    executor.post(f"/v1/runs/{run_id}/start")

    small, large = (
        executor.post("/v1/runs/batch", {"reports": [report] * count})
        for count in (lean.TOGETHER_MAX, lean.TOGETHER_MAX + 1)
    )

    assert (small.was_short, large.was_short) == (True, False)
    assert {one["status"] for answered in (small, large) for one in answered.body["results"]} == {200}


def test_calls_are_counted_and_refused_beyond_the_rate(
    executor: Executor, workflow_id: str, settings: Settings
) -> None:
    run_id = new_run(executor, workflow_id).body["id"]
    settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS = 0.01, 3

    answered = [executor.post(f"/v1/runs/{run_id}/start") for _ in range(4)]

    assert [one.headers["X-RateLimit-Remaining"] for one in answered] == ["2", "1", "0", "0"]
    assert [one.status_code for one in answered] == [200, 200, 200, 429]


def test_a_call_that_is_handed_over_is_counted_once(
    executor: Executor, workflow_id: str, settings: Settings
) -> None:
    settings.API_KEY_RATE_PER_SECOND, settings.API_KEY_BURST_REQUESTS = 0.01, 9
    nobody, mine = "/v1/runs/run_nobody/start", {"workflow_id": workflow_id, "external_id": "mine"}

    answered = [
        executor.post("/v1/runs", mine),
        executor.post(nobody),
        executor.post(nobody, **ORDINARY),
        executor.post("/v1/runs", mine),
        executor.post("/v1/runs", mine, **ORDINARY),
    ]

    assert [one.was_short for one in answered] == [True, False, False, False, False]
    assert [one.status_code for one in answered] == [201, 404, 404, 200, 200]
    assert [one.headers["X-RateLimit-Remaining"] for one in answered] == ["8", "7", "6", "5", "4"]


def test_a_database_that_is_away_is_said_at_once_and_in_the_common_shape(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        move_database_away(away)
        answered = executor.post("/v1/runs/run_a/start")

    assert answered.was_short
    assert (answered.status, answered.headers["Retry-After"]) == ("503 Service Unavailable", "5")
    assert answered.body["code"] == "database_away"


def test_a_fault_in_common_work_leaves_each_call_to_the_ordinary_way(
    executor: Executor, workflow_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(calls: Any, verdicts: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(gathered, "_stored", broken)

    answered = new_run(executor, workflow_id)

    assert (answered.was_short, answered.status) == (False, "201 Created")
    assert Run.objects.count() == 1


def test_what_gathers_is_bounded_by_the_number_of_reports() -> None:
    calls: list[Any] = [3, 3, 4, 1, 20, 1]

    assert list(in_bounds(calls, lambda size: size, 10)) == [[3, 3, 4], [1], [20], [1]]
