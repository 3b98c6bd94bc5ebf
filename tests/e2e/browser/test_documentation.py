"""The interactive documentation and the API's own pages, in a browser that runs nothing but files of ours."""

import json
from collections.abc import Callable

from playwright.sync_api import Locator, Page

from tests.e2e.browser.chromium import SCREENS, Visitor
from tests.e2e.conftest import Api

Visit = Callable[[], Visitor]


def opened(page: Page, operation_id: str) -> Locator:
    """An operation, ready to be tried."""
    operation = page.locator(f"[id$=-{operation_id}]")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def executed(operation: Locator) -> tuple[str, str]:
    """The status of what the service answered, and all that is shown of it."""
    operation.get_by_role("button", name="Execute").click()
    answered = operation.locator(".live-responses-table tbody tr.response").first
    answered.wait_for()
    return answered.locator(".response-col_status").inner_text().split()[0], answered.inner_text()


def test_a_developer_tries_calls_with_a_key(visit: Visit, api: Api) -> None:
    page = visit().go("/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#auth-bearer-value").fill(api.authorization.removeprefix("Bearer "))
    page.locator("form", has=page.locator("#auth-bearer-value")).get_by_label("Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()

    created = opened(page, "organizations_create")
    said = json.loads(created.locator("textarea.body-param__text").input_value())
    status, shown = executed(created)

    assert (status, said["name"] in shown) == ("201", True)
    assert executed(opened(page, "workflows_list"))[0] == "200"
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "documentation.png")


def test_without_a_key_a_call_is_refused_and_the_webhooks_can_be_read(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/docs")

    assert executed(opened(page, "workflows_list"))[0] == "401"
    # The browser's own line about that answer.
    (complaint,) = visitor.complaints
    visitor.complaints.clear()
    assert "401" in complaint
    assert page.get_by_text("subscription.disabled").count()


def test_who_is_logged_in_tries_calls_and_browses_without_a_key(operator: Visitor, api: Api) -> None:
    workflow = api.post("/v1/workflows", {"name": "Portraits"})["id"]
    page = operator.go("/docs")

    created = opened(page, "events_create")
    status, shown = executed(created)
    assert (status, '"subscriptions"' in shown) == ("202", True)

    operator.go(f"/v1/workflows/{workflow}")
    assert page.get_by_text("HTTP 200 OK").count()
    operator.go("/v1/deliveries?ordering=created_at&limit=5")
    assert page.get_by_text('"limit": 5').count()
