"""What the demo does, as a platform and its executor would: through the public HTTP API only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

DATA = Path(__file__).parent / "data"
TIMEOUT_SECONDS = 10
ALL_SIX = [
    *("workflow.started", "workflow.completed", "workflow.failed"),
    *("workflow.step.started", "workflow.step.completed", "workflow.step.failed"),
]
TEXT_SECRET = "demo-secret-of-seed-001"  # noqa: S105 - lives as long as the demo


class UnexpectedAnswer(Exception):
    """The API or a receiver answered something that the scenario does not provide for."""


class Http:
    """A base URL with a key; answers outside 2xx are errors."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self._base_url = base_url
        self._session = requests.Session()
        self._session.trust_env = False
        if key is not None:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        answer = self._session.request(method, self._base_url + path, json=body, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise UnexpectedAnswer(f"{method} {path} -> {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        return self.call("POST", path, body)


@dataclass
class Scenario:
    """The receivers' side is configured as the API hands out secrets; then the runs are reported."""

    api: Http
    receiver: Http
    receiver_url: str
    #: run id -> what the platform's people call it
    runs: dict[str, str] = field(default_factory=dict)
    #: run id -> the exact webhook body that seed 000 shows for it
    golden: dict[str, dict[str, Any]] = field(default_factory=dict)

    def subscribe(self) -> None:
        """Three standing wishes: Standard Webhooks, seed 001's header, and one that fails twice an event."""
        self._subscribe("/standard", events=ALL_SIX, payload_format="standard")
        self._subscribe("/elan", events=ALL_SIX, secret=TEXT_SECRET, signature_schemes=["hmac_sha256_hex"])
        self._subscribe(
            "/flaky", fail_first=2, events=["workflow.completed", "workflow.failed"], retry_schedule=[1, 2, 4]
        )

    def report_leap_runs(self) -> None:
        """The success and the failure of seed 000, with their ids and times, each with a callback."""
        completed, failed = (
            json.loads((DATA / name).read_text()) for name in ("leap_completed.json", "leap_failed.json")
        )
        workflow = self.api.post(
            "/v1/workflows",
            {
                "name": "Portraits",
                "dialect": "leap",
                "id": completed["workflow_id"],
                "version_id": completed["version_id"],
                "created_at": completed["created_at"],
                "outputs": {"imageUrl": "steps.render.output.url"},
                "signature_schemes": ["standard_webhooks"],
            },
        )
        self._expect_callback("/callback-leap", workflow["id"])
        run = self._start(completed, "/callback-leap", "portrait (seed 000, completed)")
        self._step(run, "render", {"url": completed["output"]["imageUrl"]}, at=completed["started_at"])
        self.api.post(f"/v1/runs/{run}/complete", {"occurred_at": completed["ended_at"]})

        self.api.call("PATCH", f"/v1/workflows/{workflow['id']}", {"version_id": failed["version_id"]})
        run = self._start(failed, "/callback-leap", "portrait (seed 000, failed)")
        self.api.post(f"/v1/runs/{run}/fail", {"error": failed["error"], "occurred_at": failed["started_at"]})

    def report_three_steps(self) -> None:
        """A run with three steps, each step an event of seed 001, and a callback of its own."""
        workflow = self.api.post("/v1/workflows", {"name": "Translate a document"})
        self._expect_callback("/callback-elan", workflow["id"])
        run = self.api.post(
            "/v1/runs",
            {
                "workflow_id": workflow["id"],
                "input": {"document": "contract.docx", "to": "nl"},
                "webhook_url": f"{self.receiver_url}/callback-elan",
            },
        )["id"]
        self.runs[run] = "translation (three steps, seed 001)"
        self.api.post(f"/v1/runs/{run}/start", {"executor_id": "demo-executor"})
        self._step(run, "extract", {"characters": 4211})
        self._step(run, "translate", {"language": "nl", "segments": 96})
        self._step(run, "publish", {"document": "contract.nl.docx"})
        self.api.post(f"/v1/runs/{run}/complete", {"output": {"document": "contract.nl.docx"}})

    def _subscribe(self, path: str, *, fail_first: int = 0, **settings: Any) -> None:
        created = self.api.post(
            "/v1/webhooks", {"name": path[1:], "url": self.receiver_url + path, **settings}
        )
        self._expect(path, created["signing_secret"], settings.get("secret"), fail_first)

    def _expect(self, path: str, secret: str, text: str | None = None, fail_first: int = 0) -> None:
        scheme = "standard_webhooks" if text is None else "hmac_sha256_hex"
        expectation = {"scheme": scheme, "secret": text or secret, "fail_first": fail_first}
        self.receiver.post("/_configure", {path: expectation})

    def _expect_callback(self, path: str, workflow_id: str) -> None:
        secret = self.api.post(f"/v1/workflows/{workflow_id}/rotate-secret")["signing_secret"]
        self._expect(path, secret)

    def _start(self, golden: dict[str, Any], path: str, name: str) -> str:
        run: str = self.api.post(
            "/v1/runs",
            {
                "id": golden["id"],
                "workflow_id": golden["workflow_id"],
                "created_at": golden["created_at"],
                "input": golden["input"],
                "webhook_url": self.receiver_url + path,
            },
        )["id"]
        self.runs[run] = name
        self.golden[run] = golden
        self.api.post(f"/v1/runs/{run}/start", {"occurred_at": golden["started_at"]})
        return run

    def _step(self, run: str, key: str, output: dict[str, Any], at: str | None = None) -> None:
        when = {} if at is None else {"occurred_at": at}
        self.api.post(f"/v1/runs/{run}/steps/{key}/start", when)
        self.api.post(f"/v1/runs/{run}/steps/{key}/complete", {"output": output, **when})
