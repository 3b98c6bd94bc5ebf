"""The portal as a customer's browser and its reader see it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from rest_framework.test import APIClient

from tests.factories import answer

VOID = {"meta", "link", "input", "br", "img", "hr"}
Attributes = dict[str, str]


@dataclass
class Form:
    """A form: where it goes, and what a browser would send of it untouched."""

    action: str
    method: str
    fields: dict[str, Any] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What is on a page. Parsing fails where tags are not closed in order."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.status: int = response.status_code
        self.tags: list[tuple[str, Attributes]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.links: dict[str, str] = {}
        self.forms: list[Form] = []
        self._open: list[tuple[str, Attributes]] = []
        self._select = ""
        self.feed(response.content.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag not in VOID:
            self._open.append((tag, found))
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get")))
        elif tag == "select":
            self._select = found["name"]
        elif tag == "option" and ("selected" in found or self._select not in self.forms[-1].fields):
            self.forms[-1].fields[self._select] = found["value"]
        elif tag == "textarea":
            self.forms[-1].fields[found["name"]] = ""
        elif tag == "input" and found.get("type") == "checkbox":
            checked = self.forms[-1].fields.setdefault(found["name"], [])
            if "checked" in found:
                checked.append(found["value"])
        elif tag == "input" and self.forms:
            self.forms[-1].fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self.texts.append((tuple(tag for tag, _ in self._open), text))
        tag, attributes = self._open[-1]
        if tag == "a":
            self.links[text] = attributes["href"]
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append(text)
        elif tag == "textarea":
            self.forms[-1].fields[attributes["name"]] += data.removeprefix("\n")

    @property
    def text(self) -> str:
        return " ".join(text for _, text in self.texts)

    def inside(self, tag: str) -> list[str]:
        return [text for tags, text in self.texts if tag in tags]

    def attributes(self, tag: str) -> list[Attributes]:
        return [attributes for name, attributes in self.tags if name == tag]

    def form(self, button: str) -> Form:
        """The one with this button."""
        (found,) = [form for form in self.forms if button in form.buttons]
        return found

    def has(self, button: str) -> bool:
        return any(button in form.buttons for form in self.forms)


class Portal:
    """A browser that has opened a link to the portal."""

    def __init__(self, link: str, **defaults: Any) -> None:
        self.client = Client(**defaults)
        self.entered = self.client.get(link.removeprefix("http://127.0.0.1:8000"))
        self.home: str = self.entered.headers.get("Location", "")

    def get(self, path: str = "", query: dict[str, str] | None = None) -> Page:
        """A page by its address below the organization's, or as a link has it."""
        return Page(self.client.get(self._absolute(path), query))

    def post(self, path: str, values: dict[str, Any] | None = None) -> Page:
        """The page that comes of it."""
        return Page(self.client.post(self._absolute(path), values or {}, follow=True))

    def send(self, page: Page, button: str, **values: Any) -> Page:
        """Press a button of the page."""
        form = page.form(button)
        return self.post(form.action or page_address(page), form.fields | values)

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else self.home + path


def page_address(page: Page) -> str:
    raise AssertionError("a form without an action: post to its address")


def portal_link(api: APIClient, **values: Any) -> str:
    url: str = answer(api.post("/v1/portal/links", values), 201)["url"]
    return url


def portal_of(api: APIClient, **values: Any) -> Portal:
    return Portal(portal_link(api, **values))
