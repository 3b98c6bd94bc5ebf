"""Skyvern's body without a database: normalised JSON, its signature, keys, statuses, artifacts."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from delivery.formats import compact_json
from delivery.signing import Keys, Signable, headers_for
from runs.detail import RunDetail
from runs.dialects.skyvern.payloads import normalized_json, run_body, run_object, run_with_request
from runs.dialects.skyvern.profile import PROFILE, TASK_IDS, TASK_V2_IDS
from runs.models import Run, Step, Workflow, WorkflowVersion
from runs.payloads import example
from runs.states import RunStatus

SEED_KEYS = (
    "run_id run_type status output downloaded_files recording_url screenshot_urls failure_reason app_url "
    "created_at modified_at"
).split()
EXTRAS = "queued_at started_at finished_at errors step_count browser_session_id".split()
NOW = datetime(2026, 1, 31, 15, 20, 42, tzinfo=UTC)


def run_of(**values: Any) -> Run:
    workflow = Workflow(public_id="wpid_1", dialect="skyvern")
    defaults = {
        "public_id": "wr_123",
        "workflow": workflow,
        "version": WorkflowVersion(workflow=workflow, public_id="w_1"),
        "status": RunStatus.COMPLETED,
        "artifacts": [],
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Run(**(defaults | values))


def shown(run: Run, steps: Sequence[Step] = ()) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(run_body(RunDetail(run, steps)))
    return body


def screenshots(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "screenshot", "url": name} for name in names]


@pytest.mark.parametrize(
    ("said", "sent", "signature"),
    [
        (
            '{"task_id":"t_12345","float":1.0}',
            b'{"task_id":"t_12345","float":1}',
            "cdb36cc661423ed084631c125f86a88acfc72d17bb24ba5dc7f0a999aba34cd4",
        ),
        (
            '{"run_id":"wr_123","run_type":"workflow_run","status":"completed","output":{"price":3.0,'
            '"ratio":0.5,"name":"café","n":[1.0,2.5,-0.0],"big":1e20,"ok":true},"failure_reason":null}',
            '{"run_id":"wr_123","run_type":"workflow_run","status":"completed","output":{"price":3,'
            '"ratio":0.5,"name":"café","n":[1,2.5,0],"big":100000000000000000000,"ok":true},'
            '"failure_reason":null}'.encode(),
            "601860094c60cb1b75d7f943cc338a738a4095695fa3d3de2b9c2f6c44242103",
        ),
    ],
)
def test_the_documents_vectors(said: str, sent: bytes, signature: str) -> None:
    body = normalized_json(json.loads(said))
    signable = Signable(webhook_id="evt_1", timestamp=1769873016, body=body)
    keys = Keys(standard=(), text=(), api_key="sk_test_fixture_key")

    headers = headers_for(["skyvern"], signable, keys)

    assert body == sent
    assert headers["x-skyvern-signature"] == signature
    assert headers["x-skyvern-timestamp"] == "1769873016"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**53 + 1, b"9007199254740993"),
        (1e308, str(int(1e308)).encode()),
        (5e-324, b"5e-324"),
        ({"b": 1.0, "a": [{"z": -2.0}]}, b'{"b":1,"a":[{"z":-2}]}'),
        (True, b"true"),
        ("\u2028\x00😀", '"\u2028\\u0000😀"'.encode()),
        ("\ud800", b'"\\ud800"'),
    ],
)
def test_numbers_and_texts_that_are_hard(value: Any, text: bytes) -> None:
    assert normalized_json(value) == text


def test_the_seeds_keys_come_first_then_the_extras_and_nulls_are_kept() -> None:
    body = shown(run_of())

    assert list(body) == SEED_KEYS + EXTRAS
    assert (body["downloaded_files"], body["errors"], body["step_count"]) == ([], [], 0)
    nulls = "output recording_url screenshot_urls failure_reason app_url started_at finished_at".split()
    assert [body[name] for name in nulls] == [None] * len(nulls)


def test_a_test_delivery_has_the_same_keys() -> None:
    _, detail = example("wf_test")

    assert list(json.loads(run_body(detail))) == SEED_KEYS + EXTRAS


def test_the_aliases_of_old_are_there_on_demand_only() -> None:
    task = run_object(RunDetail(run_of(kind="task_v1"), ()), legacy=True)
    run = run_object(RunDetail(run_of(), ()), legacy=True)

    assert list(task) == [*SEED_KEYS, *EXTRAS, "task_id"]
    assert (run["workflow_run_id"], run["workflow_id"]) == ("wr_123", "w_1")


def test_times_are_utc_without_saying_so_with_six_digits() -> None:
    ended = datetime.fromisoformat("2026-01-31T18:23:34.99+03:00")

    body = shown(run_of(started_at=NOW, ended_at=ended))

    assert body["created_at"] == body["queued_at"] == "2026-01-31T15:20:42.000000"
    assert body["modified_at"] == body["finished_at"] == "2026-01-31T15:23:34.990000"


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_keeps_its_name_but_canceled_has_one_l(status: RunStatus) -> None:
    expected = "canceled" if status == RunStatus.CANCELLED else status.value

    assert shown(run_of(status=status))["status"] == expected


def test_of_screenshots_the_last_three_are_shown_newest_first() -> None:
    steps = [Step(key="a", index=0, artifacts=screenshots("other"))]
    run = run_of(artifacts=screenshots("1", "2", "3", "4"))

    assert shown(run, steps)["screenshot_urls"] == ["4", "3", "2"]


def test_a_run_without_screenshots_shows_those_of_its_steps() -> None:
    steps = [
        Step(key="a", index=0, artifacts=screenshots("1", "2")),
        Step(key="b", index=1, artifacts=screenshots("3")),
    ]

    body = shown(run_of(), steps)

    assert body["screenshot_urls"] == ["3", "2", "1"]
    assert body["step_count"] == 2


def test_files_recording_and_link_come_from_the_artifacts() -> None:
    artifacts = [
        {"kind": "file", "url": "https://f/1", "id": "a_1", "filename": "i.pdf", "size": 7, "checksum": "ab"},
        {"kind": "file", "url": "https://f/2", "modified_at": "2026-01-31T15:20:42"},
        {"kind": "recording", "url": "https://r"},
        {"kind": "link", "url": "https://app"},
        {"kind": "image", "url": "https://image"},
    ]

    body = shown(run_of(artifacts=artifacts))

    first, second = body["downloaded_files"]
    assert list(first.items()) == [
        ("url", "https://f/1"),
        ("checksum", "ab"),
        ("filename", "i.pdf"),
        ("file_size", 7),
        ("modified_at", None),
        ("artifact_id", "a_1"),
    ]
    assert (second["file_size"], second["modified_at"]) == (None, "2026-01-31T15:20:42")
    assert (body["recording_url"], body["app_url"]) == ("https://r", "https://app")


def test_a_failure_has_a_reason_and_if_it_has_a_code_an_error() -> None:
    plain = shown(run_of(status=RunStatus.FAILED, error={"message": "It broke"}))
    coded = shown(run_of(status=RunStatus.TERMINATED, error={"message": "No such id", "code": "gone"}))

    assert (plain["failure_reason"], plain["errors"]) == ("It broke", [])
    assert coded["errors"] == [{"error_code": "gone", "reasoning": "No such id"}]


def test_get_run_adds_the_request_and_hides_the_credentials_in_it() -> None:
    request = {"prompt": "x", "cdp_connect_headers": {"x-api-key": "secret"}, "max_steps": 3.0}
    detail = RunDetail(run_of(kind="task_v1", request=request), ())

    webhook, answered = run_body(detail), run_with_request(detail)

    shown_request = {"prompt": "x", "cdp_connect_headers": {"x-api-key": "***"}, "max_steps": 3}
    assert answered == webhook[:-1] + b',"run_request":' + compact_json(shown_request) + b"}"


@pytest.mark.parametrize(
    "request_", [None, [], "text", {"browser_session_id": 5}, {"browser_session_id": "p"}]
)
def test_requests_of_other_shapes_are_no_fault(request_: Any) -> None:
    body = shown(run_of(request=request_))

    expected = "p" if request_ == {"browser_session_id": "p"} else None
    assert (body["run_type"], body["browser_session_id"]) == ("workflow_run", expected)


@pytest.mark.parametrize(
    ("form", "example"),
    [
        (TASK_IDS, "tsk_490440844256003946"),
        (TASK_V2_IDS, "tsk_v2_490440779503357994"),
        (PROFILE.run_ids, "wr_490440779503358000"),
        (PROFILE.version_ids, "w_490440779503357996"),
        (PROFILE.workflow_ids, "wpid_490440779503357998"),
    ],
)
def test_ids_have_the_form_of_the_documents_and_grow_with_time(form: Any, example: str) -> None:
    made = [form.new() for _ in range(3)]

    assert form.matches(example)
    assert all(form.matches(one) and len(one) == len(example) for one in made)
    assert example < made[0]
    assert not form.matches("wx_" + example.rsplit("_")[-1])
    assert not form.matches(example + "a")
