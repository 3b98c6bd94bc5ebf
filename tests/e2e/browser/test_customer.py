"""What an organization's own people do on the portal, in a browser."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.e2e.browser.chromium import Visitor
from tests.e2e.conftest import Api, eventually
from tests.receiver import Receiver, Reply


@pytest.fixture
def customer(api: Api, visit: Callable[[], Visitor]) -> Visitor:
    """Has followed a link that the platform made."""
    link = urlsplit(api.post("/v1/portal/links", {"name": "ann@acme.example"})["url"])
    visitor = visit()
    visitor.go(f"{link.path}?{link.query}")
    visitor.page.get_by_role("heading", name="Subscriptions").wait_for()
    return visitor


def test_a_customer_rotates_a_secret_and_the_next_webhook_is_signed_with_it(
    customer: Visitor, api: Api, receiver: Receiver
) -> None:
    created = api.subscribe(receiver.url("/rotated"), name="Rotated")
    page = customer.page
    page.reload()
    customer.look("portal-subscriptions")
    page.get_by_role("link", name="Rotated").click()
    customer.look("portal-subscription")
    page.get_by_label("old").select_option(index=0)
    page.get_by_role("button", name="Make a new secret").click()
    page.get_by_text("Copy the secret now").wait_for()
    customer.look("portal-secret")
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied.").wait_for()
    secret = page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="Go on").click()
    page.get_by_role("button", name="Send a test event").click()
    page.get_by_text("204").first.wait_for()
    customer.look("portal-test-event")

    (request,) = receiver.wait_for(1, "/rotated")
    Webhook(secret).verify(request.body, dict(request.headers.items()))
    with pytest.raises(WebhookVerificationError):
        Webhook(created["signing_secret"]).verify(request.body, dict(request.headers.items()))


def test_a_customer_finds_what_failed_and_sends_it_again(
    customer: Visitor, api: Api, receiver: Receiver
) -> None:
    receiver.reply(Reply(500, {"Content-Type": "text/plain"}, b"out of paper"), path="/printer")
    subscription = api.subscribe(receiver.url("/printer"), name="Printer", retry_schedule=[])
    api.events(2, "page.printed")
    eventually(lambda: set(api.states(subscription)) == {"exhausted"}, 20, "both have failed")
    receiver.recover("/printer")

    page = customer.go(f"{urlsplit(customer.page.url).path}subscriptions/{subscription['id']}/")
    page.get_by_role("link", name="Failures", exact=True).click()
    page.locator("summary").first.click()
    page.get_by_text("out of paper").first.wait_for()
    customer.look("portal-failures")
    page.get_by_role("link", name="page.printed").first.click()
    customer.look("portal-delivery")
    page.go_back()
    page.get_by_role("link", name="To the subscription").click()
    page.get_by_role("link", name="Replay failures").click()
    page.get_by_role("button", name="Count first").click()
    page.get_by_text("2 would be sent again").wait_for()
    customer.look("portal-replay")
    page.get_by_role("button", name="Replay", exact=True).click()
    receiver.wait_for(4, "/printer")
    page.locator("[data-tell]", has_text="2 sent again").wait_for()
    customer.look("portal-replay-done")


def test_a_customer_upgrades_a_workflows_version(customer: Visitor, api: Api) -> None:
    workflow = api.post("/v1/workflows", {"name": "Welcome", "dialect": "leap"})
    page = customer.page
    page.get_by_role("link", name="Workflows").click()
    customer.look("portal-workflows")
    page.get_by_role("link", name="Welcome").click()
    page.get_by_label("Webhook version").select_option("leap_v2")
    customer.look("portal-workflow")
    page.get_by_role("button", name="Save").click()

    page.get_by_role("status").wait_for()
    assert api.get(f"/v1/workflows/{workflow['id']}")["payload_format"] == "leap_v2"


def test_the_pages_work_by_keyboard_and_on_a_phone(customer: Visitor, api: Api, receiver: Receiver) -> None:
    subscription = api.subscribe(receiver.url("/phone?" + "long" * 40), name="Phone" * 20)
    page = customer.page
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    home = urlsplit(page.url).path
    for path in (
        "",
        f"subscriptions/{subscription['id']}/",
        "log",
        "replays",
        "workflows",
        "subscriptions/new",
    ):
        customer.go(home + path)
        assert customer.sideways() == 0, path


def test_following_the_platforms_link_again_leaves_forms_in_other_tabs_as_they_are(
    api: Api, customer: Visitor, receiver: Receiver
) -> None:
    link = api.post("/v1/portal/links", {})["url"]
    page = customer.page
    page.get_by_role("link", name="New subscription").click()
    page.get_by_label("Name").fill("Kept")
    page.get_by_label("URL").fill(receiver.url("/kept"))
    page.get_by_label("* (every event)").check()

    # A page of the platform's, on another site.
    platform = customer.context.new_page()
    platform.route(
        "http://platform.example/", lambda route: route.fulfill(body=f'<a href="{link}">Webhooks</a>')
    )
    platform.goto("http://platform.example/")
    platform.get_by_role("link", name="Webhooks").click()
    platform.get_by_role("heading", name="Subscriptions").wait_for()
    page.get_by_role("main").get_by_role("button").click()

    page.get_by_text("Copy the secret now").wait_for()
