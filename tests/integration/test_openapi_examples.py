"""Each operation of the OpenAPI document has an example of a call and of its answer, both real."""

import json
import os
from typing import Any

import pytest

from delivery import queue
from subscriptions.models import Organization
from tests.api_story import tell
from tests.fuzz.world import Worker
from tests.integration.dialects.test_skyvern import caller_of
from tests.openapi import operations, problems, served
from tests.settled import settled, timeless
from webhooks_project.openapi_examples import EXAMPLES

JSON = "application/json"


@pytest.fixture
def told(organization: Organization, monkeypatch: pytest.MonkeyPatch) -> Any:
    worker = Worker()
    monkeypatch.setattr(queue, "publisher", lambda: worker)
    return tell(caller_of(organization).api, worker)


def test_the_examples_are_what_the_api_says(told: Any) -> None:
    found = settled(told)
    if os.environ.get("WRITE_EXAMPLES"):
        EXAMPLES.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    written = json.loads(EXAMPLES.read_text(encoding="utf-8"))

    assert set(written) == set(found)
    for name in found:
        assert timeless(written[name]) == timeless(found[name]), name


def test_every_answer_is_what_its_schema_says(told: Any) -> None:
    document = served()
    known = dict(operations(document))

    faults = {
        name: found
        for name, call in told.items()
        if "response" in call
        and (
            found := problems(
                document,
                known[name]["responses"][call["status"]]["content"][JSON]["schema"],
                call["response"],
            )
        )
    }

    assert faults == {}


def test_every_operation_has_an_example() -> None:
    for name, operation in operations(served()):
        if "requestBody" in operation:
            assert "example" in operation["requestBody"]["content"][JSON], name
        answers = {
            status: response["content"][JSON]
            for status, response in operation["responses"].items()
            if status.startswith("2") and "content" in response
        }
        assert not answers or any("example" in content for content in answers.values()), name
