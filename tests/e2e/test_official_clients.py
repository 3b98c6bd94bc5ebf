"""The official client libraries of the source systems work with only their base URL and key set."""

import hashlib
import hmac
import json
import subprocess

from local.files import CHECKOUT
from local.stack import Stack
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver

CLIENTS = CHECKOUT / ".venv-clients/bin/python"


def use(client: str, *arguments: str) -> str:
    """Run one of the scripts in clients/; what it printed last."""
    assert CLIENTS.exists(), "the official clients are missing: run `make clients`"
    script = CHECKOUT / "tests/e2e/clients" / f"use_{client}.py"
    done = subprocess.run([CLIENTS, script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_leaps_client_queues_and_polls_a_run_whose_webhook_equals_what_it_reads(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    key = stack.manage("create_api_key", "--organization", "e2e").strip()
    workflow = api.post("/v1/workflows", {"name": "Portraits", "dialect": "leap"})

    run = use("leap", f"{stack.base_url}/leap", key, workflow["id"], receiver.url("/leap"))
    api.post(f"/v1/runs/{run}/start")
    api.post(f"/v1/runs/{run}/complete", {"output": {"imageUrl": "https://cdn.example.com/cat.jpeg"}})

    (request,) = receiver.wait_for(1, "/leap")
    assert json.loads(request.body) == api.get(f"/leap/v1/runs/{run}")


def test_skyverns_client_runs_retries_and_cancels(api: Api, stack: Stack, receiver: Receiver) -> None:
    key = stack.manage("create_api_key", "--organization", "e2e", "--scopes", "all", "--signs").strip()
    base = f"{stack.base_url}/skyvern"

    run = use("skyvern", base, key, "run", receiver.url("/skyvern"))
    api.post(f"/v1/runs/{run}/start")
    api.post(f"/v1/runs/{run}/complete", {"output": {"price": 3.0}})
    (first,) = receiver.wait_for(1, "/skyvern")
    again = use("skyvern", base, key, "retry", run)
    second = receiver.wait_for(2, "/skyvern")[1]
    other = use("skyvern", base, key, "run", receiver.url("/cancelled"))
    status = use("skyvern", base, key, "cancel", other)

    expected = hmac.new(key.encode(), first.body, hashlib.sha256).hexdigest()
    assert first.headers["x-skyvern-signature"] == second.headers["x-skyvern-signature"] == expected
    assert (again, first.body) == ("204", second.body)
    assert status == "canceled"
    eventually(lambda: len(receiver.at("/cancelled")) == 1, 10, "the cancelled run is told as well")
