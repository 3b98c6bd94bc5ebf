"""Pages of what events are about. This app does not know what that is: the one above it says."""

from collections.abc import Callable

from delivery.models import Event

PageOf = Callable[[int, str], str | None]

_known: list[PageOf] = []


def register(page_of: PageOf) -> None:
    """`page_of` gets an organization's key and a subject: the page's address, or None."""
    _known.append(page_of)


def page_of(event: Event) -> str | None:
    """None where an event is about nothing that has a page."""
    if not event.subject:
        return None
    found = (page(event.organization_id, event.subject) for page in _known)
    return next(filter(None, found), None)
