"""The receivers' code that the source systems publish takes what this service sends.

Only obvious slips are mended: Python's sample forgets to await the body, and imports hashlib nowhere.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import subprocess
from typing import Any

import pytest
from rest_framework.test import APIClient

from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.integration.dialects.conftest import Deliver, report
from tests.receiver import Receiver
from tests.unit.test_docs_verifying import NODE

SKYVERN_JAVASCRIPT = """
const crypto = require('crypto');
function validateSkyvernRequestHeaders(req) {
  const headerSkyvernSignature = req.headers['x-skyvern-signature'];
  const payload = req.body; // assuming req.body is a Buffer or string
  const hash = crypto.createHmac('sha256', process.env.SKYVERN_API_KEY)
    .update(payload)
    .digest('hex');
  return headerSkyvernSignature === hash;
}
const request = JSON.parse(require('fs').readFileSync(0, 'utf8'));
request.body = Buffer.from(request.body, 'base64');
console.log(validateSkyvernRequestHeaders(request));
"""


class Request:
    """What FastAPI hands to a handler."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self._body = body

    async def body(self) -> bytes:
        return self._body

    async def json(self) -> Any:
        return json.loads(self._body)


@pytest.fixture
def skyvern_key(organization: Organization) -> str:
    return services.api_key_create(organization=organization, scopes=Scope.values, signs=True)[1]


@pytest.fixture
def skyvern_request(skyvern_key: str, receiver: Receiver, deliver: Deliver, api: APIClient) -> Request:
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=skyvern_key)
    task = {"prompt": "Find the price of a café ☕", "webhook_url": receiver.url()}
    run = client.post("/skyvern/v1/run/tasks", task).json()["run_id"]
    report(api, run, "start")
    report(api, run, "complete", {"output": {"price": 3.0, "text": "café ☕"}})
    (sent,) = deliver()
    return Request({name.lower(): value for name, value in sent.headers.items()}, sent.body)


def test_skyverns_verifier_in_python(skyvern_request: Request, skyvern_key: str) -> None:
    async def validate_skyvern_request_headers(request: Request, key: str) -> bool:
        header_skyvern_signature = request.headers["x-skyvern-signature"]
        payload = await request.body()
        hash_obj = hmac.new(key.encode("utf-8"), msg=payload, digestmod=hashlib.sha256)
        client_generated_signature = hash_obj.hexdigest()
        return header_skyvern_signature == client_generated_signature

    assert asyncio.run(validate_skyvern_request_headers(skyvern_request, skyvern_key))
    assert not asyncio.run(validate_skyvern_request_headers(skyvern_request, "another key"))


@pytest.mark.parametrize("right_key", [True, False])
def test_skyverns_verifier_in_javascript(skyvern_request: Request, skyvern_key: str, right_key: bool) -> None:
    said = {
        "headers": skyvern_request.headers,
        "body": base64.b64encode(asyncio.run(skyvern_request.body())).decode(),
    }

    done = subprocess.run(
        [NODE, "-e", SKYVERN_JAVASCRIPT],
        input=json.dumps(said),
        env={"SKYVERN_API_KEY": skyvern_key if right_key else "another key"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == str(right_key).lower()


@pytest.mark.parametrize("ends", ["complete", "fail"])
def test_eachlabs_handler(ends: str, api: APIClient, receiver: Receiver, deliver: Deliver) -> None:
    told: list[str] = []

    async def handle_workflow_webhook(request: Request) -> dict[str, bool]:
        execution = await request.json()
        if execution["status"] == "completed":
            final_output = execution["output"]
            step_details = execution["step_outputs"]
            told.append(f"Workflow completed: {final_output} {sorted(step_details)}")
        elif execution["status"] == "failed":
            error = execution.get("error_cause", "Unknown error")
            told.append(f"Workflow failed: {error}")
        return {"received": True}

    workflow = api.post("/v1/workflows", {"name": "Sunset", "dialect": "eachlabs"}).json()["id"]
    trigger = {"inputs": {"prompt": "A sunset landscape"}, "webhook_url": receiver.url()}
    run = api.post(f"/eachlabs/api/v1/{workflow}/trigger", trigger).json()["execution_id"]
    report(api, run, "start")
    report(api, run, "steps/step1/start")
    report(api, run, "steps/step1/complete", {"output": "A breathtaking view"})
    report(api, run, ends, {"output": ["image.png"]} if ends == "complete" else {"error": "Model timeout"})
    (sent,) = deliver()

    answer = asyncio.run(handle_workflow_webhook(Request({}, sent.body)))

    assert answer == {"received": True}
    expected = "completed: ['image.png'] ['step1']" if ends == "complete" else "failed: Model timeout"
    assert told == [f"Workflow {expected}"]
