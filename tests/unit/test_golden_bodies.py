"""The source systems' own examples, byte for byte. They came from seeds 000 and 001."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from delivery.formats import Message, render
from runs.detail import RunDetail, run_data, step_data
from runs.dialects import profiles
from runs.dialects.leap.profile import default_format
from runs.models import Run, Step, Workflow, WorkflowVersion
from runs.states import RunStatus, StepStatus

GOLDEN = Path(__file__).parent.parent / "golden"
PROMPT = "8k portrait of a beatiful tuxedo cat sleeping on a bed, realistic, unlreal engine 5"
LEAP_KEYS = "id version_id status created_at started_at ended_at workflow_id error input output".split()
ERROR = "Variable 'proompt' not found. Available variables to use:\nproompt"


def golden(name: str) -> bytes:
    """The compact form of an example: the same keys and values in the same order, without blanks."""
    value = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run_of(**values: Any) -> Run:
    workflow = Workflow(public_id="wkf_RL2LDs8LNO4LI6", dialect="leap")
    defaults: dict[str, Any] = {
        "public_id": "rnp_OegyoGJxj9lyk4xbtQ",
        "version": WorkflowVersion(workflow=workflow, public_id="vsp_shsgJaeiT1d8H9"),
        "status": RunStatus.COMPLETED,
        "input": {"prompt": PROMPT},
        "output": {"imageUrl": ".../-PXO4eirXsolvofZLy-uo.jpeg"},
        "created_at": moment("2023-12-30T19:35:10.428941"),
        "started_at": moment("2023-12-30T19:35:12.028968"),
        "ended_at": moment("2023-12-30T19:35:20.872681"),
    }
    return Run(workflow=workflow, **(defaults | values))


def failed_run(**values: Any) -> Run:
    version = WorkflowVersion(public_id="vsp_vZhmfFZnF0Avb1")
    defaults: dict[str, Any] = {
        "public_id": "rnp_dqsrbuAvpOIw1h48G2",
        "version": version,
        "status": RunStatus.FAILED,
        "output": None,
        "error": {"message": ERROR, "code": "unknown_variable"},
        "created_at": moment("2023-12-30T21:49:26.994177"),
        "started_at": moment("2023-12-30T21:49:28.366564"),
        "ended_at": moment("2023-12-30T21:49:30.000000"),
    }
    return run_of(**(defaults | values))


def message_of(run: Run, steps: Sequence[Step] = ()) -> Message:
    return Message(
        event_id="evt_abc123",
        event_type="workflow.completed",
        organization_id="org_123",
        source=run.workflow.public_id,
        subject=run.public_id,
        occurred_at=moment("2025-12-21T10:30:00"),
        data=run_data(run),
        detail=RunDetail(run, steps),
    )


def leap(run: Run, version: int = 2, steps: Sequence[Step] = ()) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(render(f"leap_v{version}", message_of(run, steps)))
    return body


def test_leaps_success_is_the_seed_s_example() -> None:
    assert render("leap_v2", message_of(run_of())) == golden("leap_success.json")


def test_leaps_failure_is_the_seed_s_example_without_an_end() -> None:
    assert render("leap_v2", message_of(failed_run())) == golden("leap_failure.json")


def test_elans_envelope_is_the_page_s_example() -> None:
    example = Message(
        event_id="evt_abc123",
        event_type="workflow.completed",
        organization_id="org_123",
        source="wf_xyz789",
        subject="",
        occurred_at=moment("2025-12-21T10:30:00.999999"),
        data={},
    )

    assert render("elan_event", example) == golden("elan_event.json")


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TERMINATED, RunStatus.TIMED_OUT])
@pytest.mark.parametrize("version", [1, 2])
def test_leap_knows_only_failed_and_gives_it_neither_end_nor_output(version: int, status: RunStatus) -> None:
    body = leap(failed_run(status=status, output={"left": "over"}), version)

    assert list(body) == LEAP_KEYS
    assert (body["status"], body["ended_at"], body["output"]) == ("failed", None, None)


def test_leap_shows_a_cancelled_run_as_cancelled() -> None:
    body = leap(run_of(status=RunStatus.CANCELLED))

    assert (body["status"], body["output"]) == ("cancelled", None)


def test_leap_v1_shows_the_full_output_of_every_step_in_order() -> None:
    steps = [
        Step(key="write", index=0, output={"choices": [{"message": {"content": "a cat"}}]}),
        Step(key="draw", index=1, output=["a.jpeg"]),
    ]

    body = leap(run_of(), 1, steps)

    assert list(body) == LEAP_KEYS
    assert list(body["output"].items()) == [
        ("write", {"choices": [{"message": {"content": "a cat"}}]}),
        ("draw", ["a.jpeg"]),
    ]


def test_leap_has_all_ten_keys_also_where_nothing_is_known() -> None:
    bare = run_of(status=RunStatus.CANCELLED, input=None, output=None, started_at=None, error=None)

    body = leap(bare)

    assert list(body) == LEAP_KEYS
    assert [body[name] for name in ("started_at", "error", "input", "output")] == [None] * 4


def test_leaps_times_always_have_six_digits_and_an_offset() -> None:
    body = leap(run_of(created_at=moment("2023-12-30T19:35:10")))

    assert body["created_at"] == "2023-12-30T19:35:10.000000+00:00"


def test_outputs_survive_with_key_order_big_integers_nuls_and_lone_surrogates() -> None:
    output = {"z": 10**30, "a": "\x00", "m": "\ud800", "n": "é"}

    body = render("leap_v2", message_of(run_of(output=output)))

    assert b'"output":{"z":1000000000000000000000000000000,"a":"\\u0000","m":"\\ud800"' in body
    assert json.loads(body)["output"] == output


def test_workflow_data_has_seed_001s_keys() -> None:
    assert list(run_data(run_of())) == "run_id status started_at ended_at input output error".split()


def test_step_data_adds_the_step() -> None:
    run = run_of(status=RunStatus.RUNNING)
    step = Step(run=run, key="draw", index=1, status=StepStatus.RUNNING, started_at=run.created_at)

    data = step_data(run, step)

    assert {"run_id", "step_id", "step_name", "step_index", "status", "output", "error"} <= set(data)
    assert (data["step_id"], data["step_name"], data["step_index"]) == ("draw", "draw", 1)
    assert data["status"] == "running"


@pytest.mark.parametrize(
    ("created", "expected"),
    [
        ("2023-12-29T23:59:59.999999", "leap_v1"),
        ("2023-12-30T00:00:00", "leap_v2"),
        ("2026-01-01", "leap_v2"),
    ],
)
def test_leaps_default_schema_version_follows_the_workflow_s_age(created: str, expected: str) -> None:
    assert default_format(moment(created)) == expected


@pytest.mark.parametrize(
    ("dialect", "kind", "example"),
    [
        ("leap", "run_ids", "rnp_OegyoGJxj9lyk4xbtQ"),
        ("leap", "version_ids", "vsp_shsgJaeiT1d8H9"),
        ("leap", "workflow_ids", "wkf_RL2LDs8LNO4LI6"),
    ],
)
def test_new_ids_have_the_form_of_the_seed_s_examples(dialect: str, kind: str, example: str) -> None:
    form = getattr(profiles()[dialect], kind)

    assert form.matches(example)
    assert form.matches(form.new())
    assert len(form.new()) == len(example)
    assert form.new() != form.new()
