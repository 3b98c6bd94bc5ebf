"""A sender as in production, names that resolve to what a test says, and an eye on every socket."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from delivery.sender import Answer, NoAnswer
from delivery.sender.result import REFUSED
from delivery.states import ErrorClass
from subscriptions.addresses import TargetRule
from tests.on_loop import BOTH, AnyTransport
from tests.sockets import Resolver, connects

Sender = Callable[..., AnyTransport]


class TextBlind(TargetRule):
    """A rule that forgot to look at the text of a URL: the socket has to do without."""

    def refusal(self, url: str) -> str | None:
        return None


def assert_refused(result: Answer | NoAnswer, *told_to_staff: str) -> None:
    """By the one text, without a time; staff alone are told of what."""
    assert isinstance(result, NoAnswer), result
    assert (result.error_class, result.message) == (ErrorClass.ADDRESS_NOT_ALLOWED, REFUSED)
    assert result.duration_ms is None
    for text in told_to_staff:
        assert text in result.staff_detail


@pytest.fixture(scope="session")
def senders() -> Iterator[dict[str, AnyTransport]]:
    """By their settings: reading the certificate authorities takes longer than a test."""
    made: dict[str, AnyTransport] = {}
    yield made
    for transport in made.values():
        transport.close()


@pytest.fixture(params=BOTH)
def sender(request: pytest.FixtureRequest, senders: dict[str, AnyTransport]) -> Sender:
    """`sender(networks=[…])`: by these settings, https and the usual ports unless told otherwise."""

    def make(*, rule: type[TargetRule] = TargetRule, **allowed: Any) -> AnyTransport:
        key = f"{request.param.__name__} {rule.__name__} {sorted(allowed.items())}"
        if key not in senders:
            senders[key] = request.param(
                rule=rule.of(**{"allow_http": False, **allowed}),
                connections_per_receiver=2,
                body_max_characters=100,
            )
        return senders[key]

    return make


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.fixture
def connected() -> Iterator[list[tuple[str, int]]]:
    """Where sockets tried to go, in order."""
    with connects() as seen:
        yield seen
