"""Skyvern (seed 003): callers and receivers see what they saw before."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from rest_framework.test import APIClient

from runs.models import Run
from runs.selectors import unended_below
from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.factories import Json, answer, refusal
from tests.integration.dialects.conftest import Deliver, report
from tests.receiver import Receiver

GOLDEN = Path(__file__).parent.parent.parent / "golden"
SEED_KEYS = (
    "run_id run_type status output downloaded_files recording_url screenshot_urls failure_reason app_url "
    "created_at modified_at"
).split()


class Caller(NamedTuple):
    """A client of Skyvern's API and the text of its key, which its receivers verify with."""

    api: APIClient
    key: str

    def run_task(self, status: int = 200, **values: Any) -> Json:
        made: Json = answer(self.api.post("/skyvern/v1/run/tasks", {"prompt": "Read"} | values), status)
        return made

    def get(self, run_id: str) -> Json:
        run: Json = answer(self.api.get(f"/skyvern/v1/runs/{run_id}"))
        return run


def caller_of(organization: Organization, *, signs: bool = True) -> Caller:
    _, key = services.api_key_create(organization=organization, scopes=Scope.values, signs=signs)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=key)
    return Caller(client, key)


def make_workflow(api: APIClient, **values: Any) -> Json:
    made: Json = answer(api.post("/v1/workflows", {"name": "Invoices", "dialect": "skyvern"} | values), 201)
    return made


@pytest.fixture
def caller(organization: Organization) -> Caller:
    return caller_of(organization)


def golden() -> Json:
    body: Json = json.loads((GOLDEN / "skyvern_run.json").read_text())
    return body


def compact(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def test_the_webhook_is_skyverns_sample_and_get_run_adds_only_the_request(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    """The sample of Skyvern's page on webhooks: its values, the seed's keys in the seed's order.

    The sample's links are shortened there. Its times of queueing and of finishing differ by less than
    a millisecond from those of creation and last change: here they are the same moments.
    """
    expected = golden()
    body = {
        "id": expected["run_id"],
        "created_at": expected["created_at"] + "Z",
        "prompt": "Get the title of the top post on Hacker News",
        "url": "https://news.ycombinator.com/",
        "engine": "skyvern-2.0",
        "webhook_url": f" {receiver.url()} ",
        "error_code_mapping": {"out_of_stock": "none is left"},
    }
    answer(caller.api.post("/skyvern/v1/run/tasks", body))
    at = {"occurred_at": expected["started_at"] + "Z"}
    report(caller.api, expected["run_id"], "start", at)
    for number in range(expected["step_count"]):
        report(caller.api, expected["run_id"], f"steps/{number}/start", at)
    artifacts = [
        {"kind": "recording", "url": expected["recording_url"]},
        {"kind": "screenshot", "url": expected["screenshot_urls"][0]},
        {"kind": "link", "url": expected["app_url"]},
    ]
    end = {"output": expected["output"], "artifacts": artifacts}
    report(caller.api, expected["run_id"], "complete", end | {"occurred_at": expected["finished_at"] + "Z"})

    (request,) = deliver()
    assert request.body == compact(expected)
    asked = {name: value for name, value in body.items() if name not in ("id", "created_at")}
    got = caller.api.get(f"/skyvern/v1/runs/{expected['run_id']}").content
    assert got == compact(expected)[:-1] + b',"run_request":' + compact(asked) + b"}"


@pytest.mark.parametrize(
    ("move", "status"),
    [
        ("complete", "completed"),
        ("fail", "failed"),
        ("terminate", "terminated"),
        ("time-out", "timed_out"),
        ("cancel", "canceled"),
    ],
)
def test_every_terminal_status_is_told_as_get_run_tells_it(
    move: str, status: str, caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    run_id = caller.run_task(webhook_url=receiver.url())["run_id"]
    report(caller.api, run_id, "start")

    report(caller.api, run_id, move, {"error": "It broke"} if move == "fail" else {})

    (request,) = deliver()
    body = json.loads(request.body)
    assert list(body)[: len(SEED_KEYS)] == SEED_KEYS
    assert (body["status"], "run_request" in body) == (status, False)
    assert body["failure_reason"] == ("It broke" if move == "fail" else None)
    got = caller.get(run_id)
    assert got.pop("run_request")["prompt"] == "Read"
    assert compact(got) == request.body


@pytest.mark.parametrize(
    ("values", "run_type", "prefix"),
    [
        ({}, "task_v1", "tsk_"),
        ({"engine": "skyvern-2.0"}, "task_v2", "tsk_v2_"),
        ({"publish_workflow": True}, "task_v2", "tsk_v2_"),
        ({"engine": "skyvern-3.0"}, "task_v3", "tsk_"),
        ({"engine": "openai-cua"}, "openai_cua", "tsk_"),
        ({"engine": "anthropic-cua"}, "anthropic_cua", "tsk_"),
    ],
)
def test_the_engine_decides_the_type_of_the_run_and_its_id(
    values: Json, run_type: str, prefix: str, caller: Caller
) -> None:
    run = caller.run_task(**values)

    number = run["run_id"].removeprefix(prefix)
    assert (run["run_type"], run["status"], number.isdigit(), len(number)) == (run_type, "queued", True, 18)
    assert list(run)[: len(SEED_KEYS)] == SEED_KEYS


def test_what_skyvern_does_not_document_is_kept_and_the_executor_gets_the_whole_task(caller: Caller) -> None:
    made = caller.run_task(title="T", max_steps=3, browser_session_id="pbs_1", new_field={"z": 1, "a": None})

    asked = "prompt title max_steps browser_session_id new_field".split()
    assert list(made["run_request"]) == asked
    assert made["browser_session_id"] == "pbs_1"
    native = answer(caller.api.get(f"/v1/runs/{made['run_id']}"))
    assert native["input"] == made["run_request"]
    workflows = answer(caller.api.get("/v1/workflows"))["workflows"]
    assert [(w["slug"], w["dialect"]) for w in workflows] == [("skyvern-tasks", "skyvern")]
    caller.run_task()
    assert answer(caller.api.get("/v1/workflows"))["total"] == 1


@pytest.mark.parametrize("path", ["workflows", "agents", "agents/"])
@pytest.mark.parametrize("field", ["workflow_id", "agent_id"])
@pytest.mark.parametrize("by", ["id", "slug"])
def test_workflows_run_under_both_names_by_id_or_slug(path: str, field: str, by: str, caller: Caller) -> None:
    workflow = make_workflow(caller.api, slug="invoices")
    body = {field: workflow[by], "parameters": {"month": 5}, "title": "May"}

    run = answer(caller.api.post(f"/skyvern/v1/run/{path}", body))

    assert run["run_id"].startswith("wr_")
    assert run["run_type"] == "workflow_run"
    assert run["run_request"] == {"workflow_id": workflow[by], "parameters": {"month": 5}, "title": "May"}
    assert workflow["id"].startswith("wpid_")
    assert workflow["version_id"].startswith("w_")
    native = answer(caller.api.get(f"/v1/runs/{run['run_id']}"))
    assert native["input"] == {"month": 5}
    assert caller.get(run["run_id"] + "/") == run


def test_a_url_without_a_scheme_gets_https(caller: Caller) -> None:
    made = caller.run_task(webhook_url="hooks.example.com/in")

    assert Run.objects.get(public_id=made["run_id"]).webhook_url == "https://hooks.example.com/in"


def test_a_child_tells_nobody_and_ends_with_its_parent(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    workflow = make_workflow(caller.api, webhook_url=receiver.url())
    parent = answer(caller.api.post("/skyvern/v1/run/agents", {"agent_id": workflow["id"]}))["run_id"]
    first = caller.run_task(workflow_run_id=parent, webhook_url=receiver.url("/child"))["run_id"]
    second = caller.run_task(parent_workflow_run_id=parent, webhook_url=receiver.url("/child"))["run_id"]
    report(caller.api, first, "fail", {"error": "It broke"})

    cancelled = caller.api.post(f"/skyvern/v1/runs/{parent}/cancel")

    assert (cancelled.status_code, cancelled.content) == (200, b"null")
    statuses = [caller.get(run)["status"] for run in (parent, first, second)]
    assert statuses == ["canceled", "failed", "canceled"]
    assert [json.loads(request.body)["run_id"] for request in deliver()] == [parent]


def family(caller: Caller) -> dict[str, str]:
    """Runs by name: each letter more is a run below, so that `ab` was started by `a`."""
    ids = {"": caller.run_task()["run_id"]}
    for name in ("a", "b", "ab", "ac", "abd", "abde"):
        ids[name] = caller.run_task(parent_workflow_run_id=ids[name[:-1]])["run_id"]
    return ids


def test_all_runs_below_a_cancelled_one_end_and_those_beside_it_go_on(caller: Caller) -> None:
    ids = family(caller)
    report(caller.api, ids["ab"], "fail", {"error": "It broke"})

    answer(caller.api.post(f"/skyvern/v1/runs/{ids['a']}/cancel"))

    ended = dict.fromkeys(("a", "ac", "abd", "abde"), "canceled") | {"ab": "failed"}
    seen = {name: caller.get(run_id)["status"] for name, run_id in ids.items()}
    assert seen == {"": "queued", "b": "queued"} | ended


def test_a_cancel_that_was_interrupted_is_made_again_and_goes_on(caller: Caller) -> None:
    ids = family(caller)
    # All that a first call had done before it was interrupted.
    report(caller.api, ids[""], "cancel")

    answer(caller.api.post(f"/skyvern/v1/runs/{ids['']}/cancel"))

    assert {caller.get(run_id)["status"] for run_id in ids.values()} == {"canceled"}


def test_a_deep_line_of_runs_is_found_at_once_and_a_ring_has_an_end(
    caller: Caller, django_assert_num_queries: Any
) -> None:
    line = [caller.run_task()["run_id"]]
    for _ in range(30):
        line.append(caller.run_task(parent_workflow_run_id=line[-1])["run_id"])
    first = Run.objects.get(public_id=line[0])

    with django_assert_num_queries(1):
        assert [run.public_id for run in unended_below(first)] == line[1:]

    # No caller can do this: a parent is named when a run is made.
    Run.objects.filter(pk=first.pk).update(parent=Run.objects.get(public_id=line[-1]))
    assert {run.public_id for run in unended_below(first)} == set(line)


def test_cancelling_twice_tells_once_and_what_has_ended_is_a_400(
    caller: Caller, receiver: Receiver, deliver: Deliver
) -> None:
    run_id = caller.run_task(webhook_url=receiver.url())["run_id"]
    done = caller.run_task()["run_id"]
    report(caller.api, done, "start")
    report(caller.api, done, "complete")

    for _ in range(2):
        assert caller.api.post(f"/skyvern/v1/runs/{run_id}/cancel").content == b"null"
    refused = caller.api.post(f"/skyvern/v1/runs/{done}/cancel")

    assert len(deliver()) == 1
    body = refusal(refused, 400, "impossible_move")
    assert body["detail"] == f"Invalid status transition from completed to canceled for {done}"


def test_bearer_and_x_api_key_are_the_same(caller: Caller) -> None:
    bearer = APIClient()
    bearer.credentials(HTTP_AUTHORIZATION=f"Bearer {caller.key}")

    run = answer(bearer.post("/skyvern/v1/run/tasks", {"prompt": "a"}))

    assert caller.get(run["run_id"]) == run
