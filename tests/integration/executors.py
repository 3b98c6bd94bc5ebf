"""Executors that call the WSGI application as a server does, and see which way they were answered."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.core.wsgi import get_wsgi_application

from runs.api.lean import answering_runs
from subscriptions import services
from subscriptions.models import Organization, Scope
from tests.integration.reporting import plain_environ, shortly

SCOPES = (Scope.RUNS_WRITE, Scope.RUNS_READ)


class Answered(NamedTuple):
    status: str
    headers: dict[str, str]
    body: Any
    was_short: bool

    @property
    def status_code(self) -> int:
        return int(self.status[:3])

    def json(self) -> Any:
        return self.body


class Executor:
    """With an API key that was seen a moment ago."""

    def __init__(self, organization: Organization, scopes: Iterable[str] = SCOPES) -> None:
        _, self.key = services.api_key_create(organization=organization, name="test", scopes=list(scopes))
        self.django = get_wsgi_application()
        self("GET", "/v1/runs")

    def __call__(self, method: str, path: str, body: Any = None, **environ: Any) -> Answered:
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        whole = plain_environ(self.key, method, path, raw) | environ
        status, headers, answer, was_short = shortly(answering_runs, self.django, whole)
        is_json = dict(headers).get("Content-Type", "").startswith("application/json")
        return Answered(status, dict(headers), json.loads(answer) if is_json else None, was_short)

    def post(self, path: str, body: Any = None, **environ: Any) -> Answered:
        return self("POST", path, body, **environ)
