"""LEAPERone (seed 002): tasks and callbacks as their callers and receivers knew them."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from delivery.deliver import Again
from delivery.models import Delivery
from tests.factories import Json, answer, events_of, run, webhook
from tests.integration.conftest import CollectedWakeUps
from tests.integration.dialects.conftest import Deliver, report
from tests.integration.dialects.test_leap import compact, golden
from tests.receiver import Receiver

PATH = "/leaperone/v1/images/generations"
# The seed's own request, without its callbackUrl.
BODY = {"model": "gpt-4o-image", "prompt": "A neon-lit cyberpunk cityscape"}


def make_task(api: APIClient, **values: Any) -> str:
    task: Json = answer(api.post(PATH, BODY | values))
    assert list(task) == ["id", "status"]
    assert task["status"] == "pending"
    task_id: str = task["id"]
    return task_id


def task_of(api: APIClient, task_id: str) -> Json:
    task: Json = answer(api.get(f"{PATH}/{task_id}"))
    return task


def image(url: str, **values: Any) -> Json:
    return {"kind": "image", "url": url} | values


@pytest.mark.parametrize("name", ["leaperone_completed.json", "leaperone_failed.json"])
def test_the_callback_is_the_seeds_example_and_equals_the_get_and_the_replay(
    name: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    expected = golden(name)
    make_task(api, id=expected["id"], callbackUrl=f" {receiver.url()} ")
    report(api, expected["id"], "start")

    if "images" in expected:
        artifacts = [{"kind": "image"} | made for made in expected["images"]]
        report(api, expected["id"], "complete", {"artifacts": artifacts})
    else:
        report(api, expected["id"], "fail", {"error": expected["error"]})

    (request,) = deliver()
    assert request.body == compact(expected)
    assert request.headers["Content-Type"] == "application/json"
    assert not [name for name in request.headers if "signature" in name.lower()]
    assert api.get(f"{PATH}/{expected['id']}").content == request.body

    first = events_of(api, expected["id"])[-1]["deliveries"][0]
    answer(api.post(f"/v1/deliveries/{first['id']}/replay", {}), 202)
    assert [r.body for r in deliver()] == [request.body] * 2


def test_five_retries_after_2_4_8_16_30_seconds_then_the_callback_failed_and_the_task_is_readable(
    api: APIClient,
    receiver: Receiver,
    attempt: Callable[..., Again | None],
    wake_ups: CollectedWakeUps,
) -> None:
    # Every answer outside 2xx is worth a retry: a redirect, a refusal, a fault.
    receiver.reply(302, 400, 404, 422, 500, 503)
    task_id = make_task(api, callbackUrl=receiver.url())
    report(api, task_id, "start")
    report(api, task_id, "complete", {"artifacts": [image("https://cdn.example/1.png", id="one")]})
    (wake_up,) = wake_ups
    rows = Delivery.objects.filter(id=wake_up.delivery_id)

    waits = []
    for number in range(1, 7):
        again = attempt(wake_up.delivery_id, number)
        waits.append(again and again.delay_seconds)
        # As if the wait were over.
        rows.filter(finished_at=None).update(next_attempt_at=Now() - timedelta(seconds=1))

    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, None]
    assert len({request.body for request in receiver.requests}) == 1
    (delivery,) = events_of(api, task_id)[-1]["deliveries"]
    assert (delivery["state"], delivery["attempts"]) == ("exhausted", 6)
    assert [a["status_code"] for a in delivery["attempt_log"]] == [302, 400, 404, 422, 500, 503]
    assert api.get(f"{PATH}/{task_id}").content == receiver.requests[0].body
    assert rows.get().callback["timeout_seconds"] == 10.0  # type: ignore[index]


def test_the_status_follows_the_task(api: APIClient) -> None:
    task_id = make_task(api)
    seen = [task_of(api, task_id)]
    for move, body in (("start", None), ("progress", {"progress": "uploading"}), ("pause", None)):
        report(api, task_id, move, body)
        seen.append(task_of(api, task_id))

    assert seen == [
        {"id": task_id, "status": status} for status in ("pending", "processing", "uploading", "processing")
    ]


@pytest.mark.parametrize(
    ("move", "told", "error"),
    [
        ("terminate", True, "The task was terminated"),
        ("time-out", True, "The task timed out"),
        ("cancel", False, "The task was cancelled"),
    ],
)
def test_every_end_but_success_is_a_failure_with_a_text(
    move: str, told: bool, error: str, api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    task_id = make_task(api, callbackUrl=receiver.url())

    report(api, task_id, move)

    expected = {"id": task_id, "status": "failed", "error": error}
    assert task_of(api, task_id) == expected
    assert [json.loads(request.body) for request in deliver()] == ([expected] if told else [])


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"output": {"images": [{"id": "a", "url": "https://x.example/a"}]}}, [("a", "https://x.example/a")]),
        ({"output": ["https://x.example/a", 7, {}]}, [(None, "https://x.example/a")]),
        (
            {"artifacts": [image("https://x.example/1"), image("https://x.example/2", id="b")]},
            [(None, "https://x.example/1"), ("b", "https://x.example/2")],
        ),
        ({"artifacts": [{"kind": "file", "url": "https://x.example/f"}], "output": "text"}, []),
        ({}, []),
    ],
)
def test_images_are_the_artifacts_or_what_the_output_lists(
    result: Json, expected: list[tuple[str | None, str]], api: APIClient
) -> None:
    task_id = make_task(api)
    report(api, task_id, "start")

    report(api, task_id, "complete", result)

    assert task_of(api, task_id)["images"] == [
        {"id": own or f"{task_id}-{number}", "url": url} for number, (own, url) in enumerate(expected, 1)
    ]


def test_the_executor_gets_the_body_as_it_came_without_the_callback(api: APIClient) -> None:
    said = {
        "referenceImages": ["https://x.example/ref.png"],
        "number": 2,
        "size": "1024x1024",
        "seed": 2**70,
        "note": "日本語 🎨\u2028",
    }

    task_id = make_task(api, callbackUrl=None, **said)

    made = answer(api.get(f"/v1/runs/{task_id}"))
    assert task_id.startswith("img-")
    assert made["input"] == BODY | said
    assert list(made["input"]) == [*BODY, *said]


@pytest.mark.parametrize("fields", [["webhook_url"], ["webhook_url", "callbackUrl"]])
def test_webhook_url_is_another_name_of_callback_url(
    fields: list[str], api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    task_id = make_task(api, **{name: f" {receiver.url()} " for name in fields})
    report(api, task_id, "start")
    report(api, task_id, "complete")

    assert [json.loads(request.body)["id"] for request in deliver()] == [task_id]
    assert answer(api.get(f"/v1/runs/{task_id}"))["input"] == BODY


@pytest.mark.parametrize("nothing", [None, "", " "])
def test_a_name_of_the_callback_that_says_nothing_does_not_count(nothing: Any, api: APIClient) -> None:
    url = "https://hooks.example.com/in"

    for given, other in (("webhook_url", "callbackUrl"), ("callbackUrl", "webhook_url")):
        task_id = make_task(api, **{given: url, other: nothing})
        made = answer(api.get(f"/v1/runs/{task_id}"))
        assert (made["webhook_url"], made["input"]) == (url, BODY)


def test_a_model_is_a_workflow_made_on_first_use(api: APIClient) -> None:
    tasks = [make_task(api, model=model) for model in ("gpt-4o-image", "gpt-4o-image", "flux-1.1_pro")]

    used = [answer(api.get(f"/v1/runs/{task_id}"))["workflow_id"] for task_id in tasks]
    made = {w["id"]: (w["slug"], w["dialect"]) for w in answer(api.get("/v1/workflows"))["workflows"]}

    assert used[0] == used[1] != used[2]
    assert sorted(made.values()) == [("flux-1.1_pro", "leaperone"), ("gpt-4o-image", "leaperone")]


def test_text_that_utf_8_cannot_carry_is_escaped(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    task_id = make_task(api, callbackUrl=receiver.url())
    body = r'{"error": "broken \ud83d 🎨 \u0000"}'

    answer(api.post(f"/v1/runs/{task_id}/fail", body, content_type="application/json"))

    (request,) = deliver()
    assert request.body.isascii()
    assert json.loads(request.body)["error"] == "broken \ud83d 🎨 \x00"
    assert api.get(f"{PATH}/{task_id}").content == request.body


def test_a_subscription_may_have_this_format_for_runs_of_any_dialect(
    api: APIClient, receiver: Receiver, deliver: Deliver
) -> None:
    ended = ["workflow.completed", "workflow.failed", "workflow.cancelled"]
    webhook(api, url=receiver.url(), events=ended, payload_format="leaperone")
    native = [run(api)["id"] for _ in range(2)]
    report(api, native[0], "start")

    report(api, native[0], "complete", {"output": ["https://x.example/1.png"]})
    report(api, native[1], "cancel")

    image_of = {"id": f"{native[0]}-1", "url": "https://x.example/1.png"}
    assert [json.loads(request.body) for request in deliver()] == [
        {"id": native[0], "status": "completed", "images": [image_of]},
        {"id": native[1], "status": "failed", "error": "The task was cancelled"},
    ]
