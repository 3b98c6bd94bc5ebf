"""Every address of every dialect takes any body without a fault of ours."""

import json
from collections.abc import Iterator

import pytest
from django.test import Client
from rest_framework.test import APIClient

from runs.dialects import profiles
from runs.models import Run, Workflow

NASTY = [
    *("", "{", "[]", "null", "1", '"x"', '{"a":', "{}", '{"\\ud800":1}', '{"a":1e400}', "[" * 2000),
    *('{"inputs":"x"}', '{"inputs":[{}],"webhook_url":5}', '{"prompt":"\\u0000","model":"\\ud800"}'),
    '{"prompt":"x","model":"m","callbackUrl":"http://169.254.169.254/","webhook_url":"ftp://x"}',
    '{"prompt":{},"model":[],"number":-1,"inputs":[[]],"parameters":7,"input":[],"workflow_id":{}}',
    '{"id":"","created_at":"never","version_id":null,"workflow_id":"\\u0000","agent_id":1}',
]


def addresses(schema: dict[str, dict[str, dict[str, object]]]) -> Iterator[tuple[str, str]]:
    bases = tuple(f"/{profile.base_path}/" for profile in profiles().values() if profile.urls)
    for path, methods in schema["paths"].items():
        if path.startswith(bases):
            yield from ((method, path) for method in methods)


@pytest.fixture
def patient(api: APIClient) -> APIClient:
    api.raise_request_exception = False
    return api


def test_a_nasty_body_is_never_a_fault_and_leaves_nothing_half_done(patient: APIClient) -> None:
    schema = json.loads(Client().get("/openapi.json").content)
    asked = 0

    for method, path in addresses(schema):
        for name in ("nobody", "wkf_00000000000000"):
            url = "/".join(name if part.startswith("{") else part for part in path.split("/"))
            for body in NASTY:
                answer = patient.generic(method.upper(), url, body, content_type="application/json")
                assert answer.status_code < 500, (method, url, body, answer.content)
                asked += 1

    assert asked > 300
    assert Run.objects.filter(public_id="").count() == 0
    assert Workflow.objects.filter(version=None).count() == 0
