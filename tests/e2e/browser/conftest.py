"""Pages of the real stack in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from local.stack import Stack
from tests.e2e.browser.chromium import Visitor, chromium

OPERATOR = {"DJANGO_SUPERUSER_USERNAME": "olga", "DJANGO_SUPERUSER_EMAIL": "olga@example.com"}
PASSWORD = "long-enough-for-a-browser"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, stack: Stack) -> Iterator[Callable[[], Visitor]]:
    """A new visitor each time; at the end none of them may have seen an error."""
    visitors: list[Visitor] = []

    def come() -> Visitor:
        visitors.append(Visitor(browser, stack.base_url))
        return visitors[-1]

    yield come
    for visitor in visitors:
        visitor.context.close()
    assert [complaint for visitor in visitors for complaint in visitor.complaints] == []


@pytest.fixture(scope="module")
def account(stack: Stack) -> None:
    stack.manage("createsuperuser", "--noinput", env={**OPERATOR, "DJANGO_SUPERUSER_PASSWORD": PASSWORD})


@pytest.fixture
def operator(account: None, visit: Callable[[], Visitor]) -> Visitor:
    """Logged in to the admin."""
    visitor = visit()
    page = visitor.go("/admin/")
    page.get_by_label("Username").fill(OPERATOR["DJANGO_SUPERUSER_USERNAME"])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    # The address of the log-in ends like that of the start page.
    page.get_by_role("button", name="Log out").wait_for()
    return visitor
