"""The ids of an event's trace follow from the event: whoever carries it on knows them."""

from dataclasses import fields
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from delivery import spans
from delivery.claim import Claimed

DELIVERY = UUID("0190a000-0000-7000-8000-000000000001")


@pytest.fixture(autouse=True)
def sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    sample(monkeypatch, ALWAYS_ON)


def sample(monkeypatch: pytest.MonkeyPatch, sampler: Sampler) -> None:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    monkeypatch.setattr(spans, "provider", lambda: provider)


def claimed(**values: Any) -> Claimed:
    given: dict[str, Any] = {
        "id": DELIVERY,
        "organization_id": 1,
        "event_id": "evt_1",
        "attempt": 1,
        "claim_number": 1,
    }
    others: dict[str, Any] = {field.name: None for field in fields(Claimed)}
    return Claimed(**others | given | values)


def parts(one: Claimed) -> list[str]:
    return spans.with_traceparent({}, one)["traceparent"].split("-")


def test_attempts_and_replays_of_an_event_share_its_trace_and_each_is_a_span_of_its_own() -> None:
    attempts = [
        claimed(),
        claimed(attempt=2, claim_number=2),
        claimed(id=UUID(int=7)),
        claimed(claim_number=2),
    ]

    assert {parts(one)[1] for one in attempts} == {spans.trace_id(claimed())}
    assert len({parts(one)[2] for one in attempts}) == 4
    assert parts(claimed()) == parts(claimed())


def test_the_same_id_in_another_organization_is_another_trace() -> None:
    assert parts(claimed(organization_id=2))[1] != parts(claimed())[1]


def test_receivers_are_told_whether_the_trace_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts(claimed())[3] == "01"
    sample(monkeypatch, ALWAYS_OFF)
    assert parts(claimed())[3] == "00"


def test_a_custom_header_of_that_name_gives_way() -> None:
    sent = spans.with_traceparent({"TraceParent": "theirs", "tracestate": "theirs", "X-Shop": "7"}, claimed())

    assert set(sent) == {"X-Shop", "traceparent"}
