"""One story that makes every call of the API once and well: the examples of the OpenAPI document."""

import re
from typing import Any

from django.urls import resolve
from rest_framework.test import APIClient

from tests.factories import Json, answer
from tests.fuzz.world import Worker

URL = "https://hooks.example.com/in"
IMAGE = "https://cdn.example.com/portraits/cat.jpeg"
INPUT = {"prompt": "portrait of a tuxedo cat"}
ERROR = {"message": "Model timeout after 30s", "code": "ModelTimeout", "step": "render"}


class Teller:
    """Calls the API, and keeps the first call of each operation that was answered with 2xx."""

    def __init__(self, api: APIClient) -> None:
        self.told: dict[str, Json] = {}
        self._api = api

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("post", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._call("patch", path, body)

    def get(self, path: str, **query: Any) -> Any:
        return self._call("get", path, query or None)

    def delete(self, path: str) -> None:
        self._call("delete", path, None)

    def _call(self, method: str, path: str, body: Any) -> Any:
        response = getattr(self._api, method)(path, body)
        assert 200 <= response.status_code < 300, (method, path, response.content)
        said = answer(response, response.status_code)
        route = re.sub(r"<\w+:(\w+)>", r"{\1}", resolve(path).route)
        found: Json = {} if method == "get" or body is None else {"request": body}
        if said is not None:
            found["status"], found["response"] = str(response.status_code), said
        self.told.setdefault(f"{method.upper()} /{route}", found)
        return said


def tell(api: APIClient, worker: Worker) -> dict[str, Json]:
    """Operation → its request, status and answer."""
    worker.says = "accepted"
    teller = Teller(api)
    _organizations(teller)
    subscription = _subscriptions(teller)
    _runs(teller)
    _events(teller, worker, subscription)
    _replays(teller)
    teller.post("/v1/portal/links", {"lifetime_seconds": 3600, "name": "Ada of Northwind"})
    teller.delete("/v1/portal/links")
    for dialect in (_leap, _leaperone, _skyvern, _eachlabs):
        dialect(teller)
    teller.delete(f"/v1/webhooks/{subscription}")
    return teller.told


def _organizations(teller: Teller) -> None:
    made = teller.post("/v1/organizations", {"name": "Northwind", "contact_email": "ops@northwind.example"})
    path = f"/v1/organizations/{made['id']}"
    teller.get(path)
    teller.post(f"{path}/rotate-secret", {"overlap_seconds": 3600})
    wanted = {"name": "backend", "scopes": ["runs:write", "runs:read", "webhooks:read"]}
    key = teller.post(f"{path}/api-keys", wanted)
    teller.get(f"{path}/api-keys")
    teller.delete(f"{path}/api-keys/{key['id']}")
    teller.get("/v1/organizations")
    teller.get("/v1/users/me/organizations")


def _subscriptions(teller: Teller) -> Any:
    wanted = {
        "name": "Orders",
        "url": URL,
        "events": ["workflow.completed", "workflow.failed", "order.paid"],
        "headers": {"X-Environment": "production"},
    }
    id_ = teller.post("/v1/webhooks", wanted)["id"]
    teller.get("/v1/webhooks")
    teller.get(f"/v1/webhooks/{id_}")
    teller.patch(f"/v1/webhooks/{id_}", {"rate_limit_per_second": 20, "timeout_seconds": 15})
    teller.post(f"/v1/webhooks/{id_}/rotate-secret", {"overlap_seconds": 86400})
    teller.post(f"/v1/webhooks/{id_}/test")
    return id_


def _runs(teller: Teller) -> None:
    wanted = {"name": "Portraits", "slug": "portraits", "outputs": {"imageUrl": "steps.render.output.url"}}
    workflow = teller.post("/v1/workflows", wanted)["id"]
    teller.get("/v1/workflows")
    teller.get(f"/v1/workflows/{workflow}")
    teller.patch(f"/v1/workflows/{workflow}", {"webhook_url": URL, "retry_schedule": [5, 60, 3600]})
    teller.post(f"/v1/workflows/{workflow}/rotate-secret", {"overlap_seconds": 3600})

    def new(**values: Any) -> str:
        return f"/v1/runs/{teller.post('/v1/runs', {'workflow_id': workflow, **values})['id']}"

    run = new(input=INPUT, webhook_url=URL, external_id="job-1042")
    teller.post(f"{run}/start", {"executor_id": "worker-7"})
    teller.post(f"{run}/progress", {"progress": "rendering"})
    teller.post(f"{run}/steps/render/start", {"name": "Render the portrait", "input": {"size": "1024x1024"}})
    done = {"output": {"url": IMAGE}, "metadata": {"model": "flux-1-1-pro"}}
    teller.post(f"{run}/steps/render/complete", done)
    image = {"kind": "image", "id": "img-1", "url": IMAGE}
    teller.post(f"{run}/complete", {"output": {"seconds": 9.4}, "artifacts": [image]})
    teller.get(run)
    teller.get(f"{run}/webhooks")

    failed = new(input=INPUT)
    teller.post(f"{failed}/start")
    teller.post(f"{failed}/steps/render/start")
    teller.post(f"{failed}/steps/render/fail", {"error": ERROR})
    teller.post(f"{failed}/fail", {"error": ERROR})
    paused = new(input=INPUT)
    teller.post(f"{paused}/start")
    teller.post(f"{paused}/pause", {})
    teller.post(f"{paused}/terminate", {"error": "Stopped by an administrator"})
    late = new(input=INPUT)
    teller.post(f"{late}/time-out", {"error": "No executor within an hour"})
    teller.post(f"{new(input=INPUT)}/cancel", {"error": "Not wanted any more"})
    teller.get("/v1/runs")
    batched = new(input=INPUT).rsplit("/", 1)[-1]
    reports = [
        {"run_id": batched, "move": "start", "report": {"executor_id": "worker-7"}},
        {"run_id": batched, "move": "start", "step": "render"},
        {"run_id": batched, "move": "complete", "step": "write"},
    ]
    teller.post("/v1/runs/batch", {"reports": reports})


def _events(teller: Teller, worker: Worker, subscription: Any) -> None:
    paid = {"event_type": "order.paid", "data": {"order": "A-1042", "cents": 4990}, "event_id": "A-1042-paid"}
    teller.post("/v1/events", paid)
    more = [paid | {"event_id": "A-1043-paid"}, {"event_type": "workflow.mine", "data": {}}]
    teller.post("/v1/events/batch", {"events": more})
    found = teller.get("/v1/deliveries")["deliveries"]
    delivered = next(one for one in found if one["event_id"] == "A-1042-paid")["id"]
    teller.get(f"/v1/deliveries/{delivered}")
    teller.get(f"/v1/webhooks/{subscription}/logs")
    teller.get("/v1/webhooks/logs/all")
    teller.post(f"/v1/deliveries/{delivered}/replay", {"new_id": False})

    worker.says = "failed"
    teller.post("/v1/events", paid | {"event_id": "A-1044-paid"})
    teller.post(f"/v1/deliveries/{_delivery(teller, 'waiting')}/cancel")
    worker.says = "gone"
    teller.post("/v1/events", paid | {"event_id": "A-1045-paid"})
    teller.patch(f"/v1/webhooks/{subscription}", {"is_active": True})
    worker.says = "accepted"
    teller.post(f"/v1/deliveries/{_delivery(teller, 'held')}/recover")
    teller.post(f"/v1/webhooks/{subscription}/recover", {"since": "2026-01-31T00:00:00Z"})


def _delivery(teller: Teller, state: str) -> str:
    id_: str = teller.get("/v1/deliveries", state=state)["deliveries"][0]["id"]
    return id_


def _replays(teller: Teller) -> None:
    wanted = {
        "states": ["exhausted", "cancelled"],
        "since": "2026-01-31T00:00:00Z",
        "rate_per_second": 50,
        "replay_key": "outage-2026-01-31",
    }
    replay = teller.post("/v1/replays", wanted)["id"]
    teller.get("/v1/replays")
    teller.get(f"/v1/replays/{replay}")
    for move in ("pause", "resume", "cancel"):
        teller.post(f"/v1/replays/{replay}/{move}")


def _workflow(teller: Teller, dialect: str) -> Json:
    wanted = {"name": "Portraits", "slug": f"portraits-{dialect}", "dialect": dialect}
    made: Json = teller.post("/v1/workflows", wanted)
    return made


def _complete(teller: Teller, run_id: str) -> None:
    teller.post(f"/v1/runs/{run_id}/start")
    teller.post(f"/v1/runs/{run_id}/steps/render/start")
    teller.post(f"/v1/runs/{run_id}/steps/render/complete", {"output": [IMAGE]})
    image = {"kind": "image", "id": "img-1", "url": IMAGE}
    teller.post(f"/v1/runs/{run_id}/complete", {"output": {"imageUrl": IMAGE}, "artifacts": [image]})


def _leap(teller: Teller) -> None:
    workflow = _workflow(teller, "leap")["id"]
    wanted = {"workflow_id": workflow, "webhook_url": URL, "input": INPUT}
    run = teller.post("/leap/v1/runs", wanted)["id"]
    _complete(teller, run)
    teller.get(f"/leap/v1/runs/{run}")


def _leaperone(teller: Teller) -> None:
    wanted = {"model": "portraits", "prompt": "a tuxedo cat", "callbackUrl": URL}
    task = teller.post("/leaperone/v1/images/generations", wanted)["id"]
    _complete(teller, task)
    teller.get(f"/leaperone/v1/images/generations/{task}")


def _skyvern(teller: Teller) -> None:
    path = "/skyvern/v1"
    workflow = _workflow(teller, "skyvern")["id"]
    teller.post(f"{path}/run/tasks", {"prompt": "Find the top post", "webhook_url": URL})
    wanted = {"parameters": INPUT, "webhook_url": URL}
    ended = teller.post(f"{path}/run/workflows", {"workflow_id": workflow, **wanted})["run_id"]
    open_ = teller.post(f"{path}/run/agents", {"agent_id": workflow, **wanted})["run_id"]
    _complete(teller, ended)
    teller.get(f"{path}/runs/{ended}")
    teller.post(f"{path}/runs/{ended}/retry_webhook", {"webhook_url": URL})
    teller.post(f"{path}/runs/{open_}/cancel")


def _eachlabs(teller: Teller) -> None:
    made = _workflow(teller, "eachlabs")
    workflow, version = made["id"], made["version_id"]
    one = {"inputs": INPUT, "webhook_url": URL}
    many = {"inputs": [INPUT, {"prompt": "portrait of a dog"}], "webhook_url": URL}
    execution = teller.post(f"/eachlabs/api/v1/{workflow}/trigger", one)["execution_id"]
    teller.post(f"/eachlabs/api/v1/{workflow}/bulk-trigger", many)
    teller.post(f"/eachlabs/v1/workflows/trigger/{workflow}/{version}", one)
    teller.post(f"/eachlabs/v1/workflows/bulk-trigger/{workflow}/{version}", many)
    _complete(teller, execution)
    for path in ("/eachlabs/api/v1", "/eachlabs/v1/workflows"):
        teller.get(f"{path}/executions/{execution}")
    teller.get(f"/eachlabs/api/v1/workflows/{workflow}/executions")
    teller.get(f"/eachlabs/v1/workflows/{workflow}/executions")
    teller.get("/eachlabs/v1/webhooks")
    teller.get(f"/eachlabs/v1/webhooks/{execution}")
