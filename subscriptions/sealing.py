"""Rows from before URLs with a query were encrypted: seals what they hold as plain text.

Each app registers where that may be. Like the exchange of keys this can be broken off and begun
again, and each row is changed by comparing its old values: what somebody writes meanwhile wins.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q

from subscriptions.masks import shown_url
from subscriptions.rotation import windows
from subscriptions.secrets import sealed_url


@dataclass(frozen=True)
class PlainUrl:
    """A column that may hold a whole URL, and those beside it that `seal` looks at, too."""

    model: type[Model]
    columns: tuple[str, ...]
    #: the columns' new values, by name; nothing for a row that is as it should be
    seal: Callable[..., dict[str, Any]]


_places: dict[tuple[type[Model], str], PlainUrl] = {}


def register(*places: PlainUrl) -> None:
    _places.update({(place.model, place.columns[0]): place for place in places})


def encrypted_beside(model: type[Model], shown: str, encrypted: str) -> PlainUrl:
    """The whole URL moves into the column beside it."""

    def seal(url: str, token: str) -> dict[str, Any]:
        masked, new = ("", "") if token else sealed_url(url)
        return {shown: masked, encrypted: new} if new else {}

    return PlainUrl(model, (shown, encrypted), seal)


def only_shown(model: type[Model], column: str) -> PlainUrl:
    """A log: nobody sends to it."""

    def seal(url: str) -> dict[str, Any]:
        return {} if shown_url(url) == url else {column: shown_url(url)}

    return PlainUrl(model, (column,), seal)


def seal_all(*, check: bool) -> int:
    """So many rows had a plain query, or with `check` have one."""
    return sum(_seal(place, check=check) for place in _places.values())


def _seal(place: PlainUrl, *, check: bool) -> int:
    rows = place.model._default_manager
    sealed = 0
    for window in windows(rows.order_by("pk"), Q(**{f"{place.columns[0]}__contains": "?"}), place.columns):
        for pk, *values in window:
            new = place.seal(*values)
            if not new:
                continue
            before = dict(map(_unchanged, place.columns, values))
            sealed += 1 if check else rows.filter(pk=pk, **before).update(**new)
    return sealed


def _unchanged(column: str, value: Any) -> tuple[str, Any]:
    # Django takes a JSON column's None for JSON's null.
    return (f"{column}__isnull", True) if value is None else (column, value)
