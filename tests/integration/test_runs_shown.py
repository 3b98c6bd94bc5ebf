"""A run is shown by hand as the serializer that documents it would show it."""

from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from runs.api.serializers import RunWithSteps
from runs.api.shown import run_shown
from runs.models import Run
from tests.factories import report, run, started_run
from tests.integration.test_missing_encryption_key import OTHER_KEYS
from webhooks_project.renderers import EscapingJSONRenderer

URL = "https://hooks.example.com/in?token=secret&a=1"
ARTIFACT = {"kind": "file", "url": "https://files.example.com/1", "size": 5}
ODD: dict[str, Any] = {"text": "caf\u00e9 \u0000", "numbers": [1.0, 10**30, None], "b": {}, "a": []}


def alike(full_urls: bool) -> bool:
    row = Run.objects.select_related("workflow", "version").get()
    by_hand = run_shown(row, list(row.steps.order_by("index")), full_urls=full_urls)
    documented = RunWithSteps(row, context={"full_urls": full_urls}).data
    render = EscapingJSONRenderer().render
    return render(by_hand) == render(documented)


@pytest.mark.parametrize("full_urls", [True, False])
def test_a_queued_run(api: APIClient, full_urls: bool) -> None:
    run(api, external_id="mine", input=ODD, webhook_url=URL)

    assert alike(full_urls)


@pytest.mark.parametrize("end", ["complete", "fail"])
@pytest.mark.parametrize("full_urls", [True, False])
def test_a_run_with_all_that_reports_can_say(api: APIClient, full_urls: bool, end: str) -> None:
    made = started_run(api, webhook_url=URL)["id"]
    for key in ("b", "a"):
        values = {"name": "Step", "input": 1, "output": ODD, "primary": "x", "metadata": ODD}
        report(api, made, f"steps/{key}/start", values | {"artifacts": [ARTIFACT]})
    report(api, made, "steps/b/fail", {"error": {"message": "It broke", "code": "E7"}})
    report(api, made, "progress", {"progress": "uploading"})
    report(
        api, made, end, {"output": ODD, "artifacts": [ARTIFACT]} if end == "complete" else {"error": "late"}
    )

    assert alike(full_urls)


@pytest.mark.parametrize("full_urls", [True, False])
def test_a_run_whose_url_cannot_be_decrypted(api: APIClient, settings: Settings, full_urls: bool) -> None:
    run(api, webhook_url=URL)

    settings.ENCRYPTION_KEYS = OTHER_KEYS

    assert alike(full_urls)
