"""What the fuzzed calls are about: things of every kind and state, made through the API."""

from collections.abc import Callable, Sequence
from typing import Any

from rest_framework.test import APIClient

from delivery.deliver import deliver
from delivery.queue import WakeUp
from delivery.short_waits import ShortWaits
from tests.factories import PUBLIC_URL, Json, answer, completed_run, run, started_run, webhook, workflow
from tests.scripted import ANSWERS, Scripted

Ids = dict[str, list[Any]]
Kinds = dict[str, str]
"""Places in a request, such as `path.run_id`, and what stands there."""

EVERYWHERE: Kinds = {
    "path.subscription_id": "subscription",
    "path.workflow_id": "workflow",
    "path.run_id": "running run",
    "path.delivery_id": "delivery",
    "path.replay_id": "replay",
    "path.organization_id": "organization",
    "path.key_id": "key",
    "path.workflow": "eachlabs workflow",
    "path.version": "eachlabs version",
    "path.execution_id": "eachlabs run",
    "path.task_id": "leaperone run",
    "query.workflow_id": "workflow",
    "query.subscription_id": "subscription",
    "body.workflow_id": "workflow",
    "body.url": "url",
    "body.webhook_url": "url",
    "body.callbackUrl": "url",
}
SKYVERN_WORKFLOW = {"body.workflow_id": "skyvern workflow", "body.agent_id": "skyvern workflow"}
NAMED: dict[str, Kinds] = {
    "POST /v1/runs/{run_id}/start": {"path.run_id": "queued run"},
    "POST /v1/runs/{run_id}/pause": {"path.run_id": "run to pause"},
    "POST /v1/runs/{run_id}/complete": {"path.run_id": "run to complete"},
    "POST /v1/runs/{run_id}/fail": {"path.run_id": "run to fail"},
    "POST /v1/runs/{run_id}/terminate": {"path.run_id": "run to terminate"},
    "POST /v1/runs/{run_id}/time-out": {"path.run_id": "run to time out"},
    "POST /v1/runs/{run_id}/cancel": {"path.run_id": "run to cancel"},
    **{
        # Of their own each: what one ends, another cannot end again.
        f"POST /v1/runs/{{run_id}}/steps/{{key}}/{move}": {
            "path.run_id": f"run with a step to {move}",
            "path.key": "step",
        }
        for move in ("start", "complete", "fail")
    },
    "DELETE /v1/webhooks/{subscription_id}": {"path.subscription_id": "subscription to delete"},
    "POST /v1/deliveries/{delivery_id}/cancel": {"path.delivery_id": "waiting delivery"},
    "POST /v1/deliveries/{delivery_id}/recover": {"path.delivery_id": "held delivery"},
    "POST /v1/replays/{replay_id}/pause": {"path.replay_id": "replay to pause"},
    "POST /v1/replays/{replay_id}/resume": {"path.replay_id": "paused replay"},
    "POST /v1/replays/{replay_id}/cancel": {"path.replay_id": "replay to cancel"},
    "POST /leap/v1/runs": {"body.workflow_id": "leap workflow"},
    "GET /leap/v1/runs/{run_id}": {"path.run_id": "leap run"},
    "POST /skyvern/v1/run/agents": SKYVERN_WORKFLOW,
    "POST /skyvern/v1/run/workflows": SKYVERN_WORKFLOW,
    "GET /skyvern/v1/runs/{run_id}": {"path.run_id": "skyvern run"},
    "POST /skyvern/v1/runs/{run_id}/cancel": {"path.run_id": "skyvern run to cancel"},
    "POST /skyvern/v1/runs/{run_id}/retry_webhook": {"path.run_id": "skyvern run"},
}
# Of each kind; what a call ends or deletes is gone for the next one.
EACH = 12


class Worker:
    """Stands where the publisher is: makes attempts at once, after the commit, without a socket."""

    # An event of the fuzz may reach hundreds of subscriptions.
    ATTEMPTS_PER_COMMIT = 3

    def __init__(self) -> None:
        self.says: str | None = None
        """The answer to every request; else they go round, so that deliveries end in every way."""
        self._made = 0
        self._transport = Scripted(self._answer)
        self._waits = ShortWaits(longest_seconds=60, most=1)

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        for wake_up in wake_ups[: self.ATTEMPTS_PER_COMMIT]:
            deliver(wake_up.delivery_id, wake_up.attempt, transport=self._transport, short_waits=self._waits)

    def _answer(self, request: object) -> Any:
        self._made += 1
        return ANSWERS[self.says or list(ANSWERS)[self._made % len(ANSWERS)]]


# What is accepted for sure, where chance alone would not hit upon it; a text in angle brackets is a kind.
BODIES: dict[str, Json] = {
    "POST /v1/webhooks": {"name": "Hook", "url": PUBLIC_URL, "events": ["*"]},
    "POST /v1/workflows": {"name": "Cats"},
    "POST /v1/runs": {"workflow_id": "<workflow>"},
    "POST /v1/runs/{run_id}/fail": {"error": "no"},
    "POST /v1/runs/{run_id}/progress": {"progress": "drawing"},
    "POST /v1/runs/{run_id}/steps/{key}/fail": {"error": "no"},
    "POST /v1/events": {"event_type": "order.paid", "data": {}},
    "POST /v1/events/batch": {"events": [{"event_type": "order.paid", "data": {}}]},
    "POST /v1/replays": {"states": ["exhausted"]},
    "POST /v1/webhooks/{subscription_id}/recover": {"since": "2026-01-01T00:00:00Z"},
    "POST /v1/organizations/{organization_id}/api-keys": {"name": "spare"},
    "POST /leap/v1/runs": {"workflow_id": "<leap workflow>"},
    "POST /leaperone/v1/images/generations": {"prompt": "a cat", "model": "cats"},
    "POST /skyvern/v1/run/tasks": {"prompt": "find a cat"},
    "POST /skyvern/v1/run/agents": {"agent_id": "<skyvern workflow>"},
    "POST /skyvern/v1/run/workflows": {"workflow_id": "<skyvern workflow>"},
    "POST /eachlabs/api/v1/{workflow}/trigger": {"inputs": {}},
    "POST /eachlabs/api/v1/{workflow}/bulk-trigger": {"inputs": [{}]},
    "POST /eachlabs/v1/workflows/trigger/{workflow}/{version}": {"inputs": {}},
    "POST /eachlabs/v1/workflows/bulk-trigger/{workflow}/{version}": {"inputs": [{}]},
}


def body_of(operation: str, ids: Ids) -> Json | None:
    body = BODIES.get(operation)
    return body and {
        name: ids[value[1:-1]][0] if isinstance(value, str) and value.startswith("<") else value
        for name, value in body.items()
    }


def kinds_of(operation: str) -> Kinds:
    return EVERYWHERE | NAMED.get(operation, {})


def seed(api: APIClient, worker: Worker) -> Ids:
    """Ids by what they are for; `api` has a key of every scope that also signs."""
    made = workflow(api)["id"]
    ids: Ids = {
        "workflow": [workflow(api)["id"] for _ in range(EACH)],
        "subscription": [webhook(api, events=["fuzz.seeded"])["id"] for _ in range(EACH)],
        "subscription to delete": [webhook(api, events=["fuzz.seeded"])["id"] for _ in range(EACH)],
        "queued run": many(lambda: run(api, workflow_id=made)),
        "running run": many(lambda: started_run(api, workflow_id=made)),
        "run to pause": many(lambda: started_run(api, workflow_id=made)),
        "run to complete": many(lambda: started_run(api, workflow_id=made)),
        "run to fail": many(lambda: started_run(api, workflow_id=made)),
        "run to terminate": many(lambda: started_run(api, workflow_id=made)),
        "run to time out": many(lambda: started_run(api, workflow_id=made)),
        "run to cancel": many(lambda: started_run(api, workflow_id=made)),
        **{
            f"run with a step to {move}": many(lambda: started_run(api, workflow_id=made))
            for move in ("start", "complete", "fail")
        },
        "replay": many(lambda: replay(api)),
        "replay to pause": many(lambda: replay(api)),
        "replay to cancel": many(lambda: replay(api)),
        "paused replay": many(lambda: answer(api.post(f"/v1/replays/{replay(api)['id']}/pause"))),
    }
    for move in ("complete", "fail"):
        for run_id in ids[f"run with a step to {move}"]:
            answer(api.post(f"/v1/runs/{run_id}/steps/draw/start"))
    ids["step"] = ["draw"]
    ids["url"] = [PUBLIC_URL, "https://hooks.example.org/x?y=z"]
    return ids | deliveries(api, worker) | organizations(api) | dialects(api)


def many(make: Callable[[], Json]) -> list[Any]:
    return [make()["id"] for _ in range(EACH)]


def replay(api: APIClient) -> Json:
    made: Json = answer(api.post("/v1/replays", {"states": ["exhausted"]}), 202)
    return made


def deliveries(api: APIClient, worker: Worker) -> Ids:
    """Delivered, waiting and held ones: each of a subscription whose receiver always says the same."""
    ids: Ids = {}
    for kind, says in (("delivery", "accepted"), ("waiting delivery", "failed"), ("held delivery", "gone")):
        subscription = webhook(api, url=PUBLIC_URL, events=[f"fuzz.{says}"])["id"]
        worker.says = says
        for _ in range(EACH + 1):
            answer(api.post("/v1/events", {"event_type": f"fuzz.{says}", "data": {}}), 202)
        state = {"accepted": "delivered", "failed": "waiting", "gone": "held"}[says]
        found = answer(api.get("/v1/deliveries", {"subscription_id": subscription, "state": state}))
        ids[kind] = [delivery["id"] for delivery in found["deliveries"]]
        answer(api.patch(f"/v1/webhooks/{subscription}", {"is_active": True}))
    worker.says = None
    return ids


def organizations(api: APIClient) -> Ids:
    """Another customer with keys: those may be revoked, ours may not."""
    other = answer(api.post("/v1/organizations", {"name": "Another"}), 201)["id"]
    path = f"/v1/organizations/{other}/api-keys"
    keys = [answer(api.post(path, {"name": "spare"}), 201)["id"] for _ in range(EACH)]
    return {"organization": [other], "key": keys}


def dialects(api: APIClient) -> Ids:
    """A workflow and a run of each source system."""
    ids: Ids = {}
    for dialect in ("leap", "leaperone", "skyvern", "eachlabs"):
        made = workflow(api, dialect=dialect, slug=f"fuzz-{dialect}", webhook_url=PUBLIC_URL)
        ids[f"{dialect} workflow"] = [made["id"]]
        ids[f"{dialect} version"] = [made["version_id"]]
        ids[f"{dialect} run"] = [completed_run(api, workflow_id=made["id"])["id"] for _ in range(EACH)]
        ids[f"{dialect} run to cancel"] = [run(api, workflow_id=made["id"])["id"] for _ in range(EACH)]
    return ids
