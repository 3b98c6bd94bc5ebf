"""What operators do in the admin, in a browser."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.e2e.browser.chromium import Visitor
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver, Reply

REFUSAL = b'{"error": "the stock is closed for the night"}'
ORDER = {"order": {"number": 4711, "customer": "c_29", "lines": [{"sku": "K-1", "amount": 2}]}}


@pytest.fixture
def failed(api: Api, receiver: Receiver) -> Iterator[str]:
    """The id of an event that its receiver refused for good."""
    receiver.reply(Reply(503, {"Content-Type": "application/json"}, REFUSAL), path="/shop")
    subscription = api.subscribe(receiver.url("/shop"), name="Shop", retry_schedule=[0.1])
    told = api.post("/v1/events", {"event_type": "order.packed", "data": ORDER})
    eventually(lambda: api.states(subscription) == ["exhausted"], 20, "the delivery has failed")
    yield told["event_id"]
    api.call("DELETE", f"/v1/webhooks/{subscription['id']}")


def test_an_operator_finds_a_failed_delivery_sees_why_replays_it_and_sees_it_delivered(
    operator: Visitor, receiver: Receiver, failed: str
) -> None:
    page = operator.page
    page.get_by_role("link", name="Deliveries", exact=True).last.click()
    page.get_by_role("link", name="exhausted").click()
    page.get_by_label("Search", exact=True).fill(failed)
    page.get_by_role("button", name="Search").click()
    operator.look("deliveries")
    page.locator("#result_list tbody th a").click()

    attempt = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Attempt 2"))
    attempt.get_by_text("Answer", exact=True).click()
    assert "the stock is closed for the night" in attempt.inner_text()
    page.get_by_label("Search").fill("4711")
    page.get_by_text("1 found").wait_for()
    page.get_by_role("button", name="Copy").first.click()
    assert "4711" in page.evaluate("navigator.clipboard.readText()")
    operator.look("delivery")

    receiver.recover("/shop")
    page.get_by_role("button", name="Replay").click()
    operator.look("replay-one")
    page.get_by_role("button", name="Yes").click()
    page.locator(".field-replayed_as a").click()
    page.locator(".standing").get_by_text("delivered").first.wait_for()

    assert len(receiver.wait_for(3, "/shop")) == 3
    operator.look("delivery-replayed")


def test_the_start_page_says_how_it_goes_and_leads_to_what_went_wrong(
    operator: Visitor, api: Api, receiver: Receiver
) -> None:
    for path, codes in {"/well": [204], "/now-and-then": [500, 204, 429, 204], "/never": [404]}.items():
        receiver.reply(*codes * 8, path=path)
        api.subscribe(receiver.url(path), name=path.strip("/"), events=["start.page"], retry_schedule=[0.2])
    api.events(30, "start.page")
    page = operator.page

    def counted() -> bool:
        page.goto("/admin/?span=hour")
        return page.locator(".cards li", has_text="Success rate").get_by_text("delivered, 3").count() == 1

    eventually(counted, 40, "30 are given up, and counted")
    operator.look("start")
    page.get_by_role("link", name="given up").click()

    page.locator("#result_list tbody tr").nth(29).wait_for()
    assert set(page.locator("#result_list tbody .badge").all_inner_texts()) == {"exhausted"}
    page.goto("/admin/subscriptions/subscription/?q=now-and-then")
    page.get_by_role("link", name="now-and-then").first.click()
    page.get_by_role("region", name="Health").get_by_text("Not failing").wait_for()
    operator.look("subscription")


def test_an_operator_upgrades_a_workflows_webhook_version(operator: Visitor, api: Api, stack: Stack) -> None:
    workflow = api.post("/v1/workflows", {"name": "Onboarding", "dialect": "leap"})
    page = operator.go("/admin/runs/workflow/")
    page.get_by_role("link", name=workflow["id"]).click()
    page.get_by_role("link", name="see and change").click()
    page.get_by_label("Webhook version").select_option("leap_v2")
    operator.look("webhook-version")
    page.get_by_role("button", name="Save").click()

    page.get_by_text("New runs send leap_v2").wait_for()
    assert api.get(f"/v1/workflows/{workflow['id']}")["payload_format"] == "leap_v2"


def test_a_test_events_answer_is_shown_at_once(operator: Visitor, api: Api, receiver: Receiver) -> None:
    receiver.reply(Reply(418, {"Content-Type": "text/plain"}, b"short and stout"), path="/tea")
    subscription = api.subscribe(receiver.url("/tea"), name="Tea")
    page = operator.go(f"/admin/subscriptions/subscription/{subscription['id']}/change/")
    page.get_by_role("button", name="Send test event").click()
    page.get_by_role("button", name="Yes").click()

    page.get_by_text("418").first.wait_for()
    operator.look("test-event")


def test_a_replay_of_all_that_match_shows_what_came_of_it(
    operator: Visitor, receiver: Receiver, failed: str
) -> None:
    receiver.recover("/shop")
    page = operator.go("/admin/delivery/replay/")
    page.get_by_role("link", name="Replay all that match").click()
    page.get_by_label("exhausted").check()
    page.get_by_label("Event types").fill("order.packed")
    page.get_by_role("button", name="Count what matches").click()
    page.get_by_role("button", name="Yes, replay").wait_for()
    operator.look("replay-counted")
    page.get_by_role("button", name="Yes, replay").click()

    page.get_by_text("done", exact=True).first.wait_for()
    page.get_by_role("link", name="delivered 1").wait_for()
    page.get_by_role("button", name="Pause").wait_for(state="hidden")
    operator.look("replay")


def test_a_runs_page_has_its_steps_and_webhooks_on_one_time_line(
    operator: Visitor, api: Api, receiver: Receiver
) -> None:
    subscription = api.subscribe(receiver.url("/runs"), name="Runs")
    workflow = api.post("/v1/workflows", {"name": "Nightly report"})
    run = api.post("/v1/runs", {"workflow_id": workflow["id"], "input": {"day": "2026-11-21"}})
    path = f"/v1/runs/{run['id']}"
    api.post(f"{path}/start")
    api.post(f"{path}/steps/collect/start")
    api.post(f"{path}/steps/collect/complete")
    api.post(f"{path}/complete", {"output": {"pages": 12}})
    eventually(lambda: set(api.states(subscription)) == {"delivered"}, 20, "all is delivered")

    page = operator.go("/admin/runs/run/")
    page.get_by_role("link", name=run["id"]).first.click()
    page.get_by_text("collect").first.wait_for()
    operator.look("run")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("attempts", "/admin/delivery/attempt/"),
        ("events", "/admin/delivery/event/"),
        ("subscriptions", "/admin/subscriptions/subscription/"),
        ("organizations", "/admin/subscriptions/organization/"),
        ("runs", "/admin/runs/run/"),
    ],
)
def test_pages_have_no_serious_issue(operator: Visitor, failed: str, name: str, path: str) -> None:
    operator.go(path).wait_for_load_state("networkidle")
    operator.look(name)
