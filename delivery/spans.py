"""All that happens to an event is one trace, whose id follows from the event's; imported only with tracing.

Retries, replays and whichever process carries an event on find its trace without anything that would have to
be kept, or sent along and lost with a message. It is linked with the trace of the call that reported it.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from uuid import UUID

from django.db import transaction
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from delivery.claim import Claimed
from delivery.fan_out.model import FanOut
from delivery.models import Event
from delivery.recorder import Outcome
from delivery.slow import receiver_of
from webhooks_project.spans import chosen, provider, tracer

_SET_BY_US = ("traceparent", "tracestate")


def trace_id(claimed: Claimed) -> str:
    return f"{_event(claimed.organization_id, claimed.event_id).trace_id:032x}"


def with_traceparent(headers: Mapping[str, str], claimed: Claimed) -> dict[str, str]:
    """The receiver's own spans become children of the attempt's."""
    ids = _attempt(claimed)
    kept = {name: value for name, value in headers.items() if name.lower() not in _SET_BY_US}
    return kept | {"traceparent": f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}"}


def event_stored(event: Event) -> None:
    """The first span of an event's trace, once it is committed; only for calls of the API that are spans."""
    call = trace.get_current_span()
    if call.get_span_context().is_valid:
        transaction.on_commit(partial(_begin_event, event, call))


def _begin_event(event: Event, call: trace.Span) -> None:
    ids = _event(event.organization_id, event.event_id)
    call.add_link(ids)
    with _with_ids(ids):
        span = tracer().start_span(
            f"event {event.type}",
            context=Context(),
            kind=SpanKind.PRODUCER,
            links=[Link(call.get_span_context())],
            attributes={
                "runhooks.event": event.event_id,
                "runhooks.type": event.type,
                "runhooks.organization": event.organization_id,
                "runhooks.recipients": event.recipients,
            },
        )
    span.end()


@contextmanager
def fan_out_chunk(fan_out_id: UUID) -> Iterator[None]:
    """Around the making of deliveries for some of an event's many recipients."""
    found = FanOut.objects.filter(pk=fan_out_id).select_related("event").first()
    if found is None:
        yield
        return
    event = _event(found.event.organization_id, found.event.event_id)
    with tracer().start_as_current_span(
        "fan-out", context=_below(event), attributes={"runhooks.event": found.event.event_id}
    ):
        yield


def attempt_made(outcome: Outcome) -> None:
    """Its time is that of the request; what came before is the distance to the event's span."""
    claimed, ids = outcome.claimed, _attempt(outcome.claimed)
    ended_ns = time.time_ns()
    attributes: dict[str, str | int | float | None] = {
        "runhooks.event": claimed.event_id,
        "runhooks.delivery": str(claimed.id),
        "runhooks.subscription": claimed.subscription_id,
        "runhooks.attempt": claimed.attempt,
        "runhooks.lane": claimed.lane,
        "runhooks.state": outcome.state.value,
        "runhooks.reason": outcome.reason,
        "http.request.method": "POST",
        "url.full": outcome.url,
        "server.address": receiver_of(outcome.url),
        "http.response.status_code": outcome.status_code,
        "error.type": outcome.error_class or None,
    }
    for name, microseconds in outcome.phases.measured() if outcome.phases else ():
        attributes[f"runhooks.phase.{name}_ms"] = microseconds / 1000
    with _with_ids(ids):
        span = tracer().start_span(
            f"attempt {claimed.event_type}",
            context=_below(_event(claimed.organization_id, claimed.event_id)),
            kind=SpanKind.CLIENT,
            start_time=ended_ns - round((outcome.duration_ms or 0) * 1e6),
            attributes={name: value for name, value in attributes.items() if value is not None},
        )
    if not outcome.accepted:
        span.set_status(Status(StatusCode.ERROR, outcome.error_class))
    span.end(ended_ns)


def _event(organization_id: int, event_id: str) -> SpanContext:
    """An event's id is its own within an organization only."""
    key = f"{organization_id}/{event_id}"
    number = _number(key, 16)
    decision = provider().sampler.should_sample(None, number, "event").decision
    sampled = TraceFlags.SAMPLED if decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT
    return SpanContext(number, _number(key, 8), is_remote=True, trace_flags=TraceFlags(sampled))


def _attempt(claimed: Claimed) -> SpanContext:
    event = _event(claimed.organization_id, claimed.event_id)
    # Of each claim: a second worker may make the same attempt again.
    span = _number(f"{claimed.id}/{claimed.attempt}/{claimed.claim_number}", 8)
    return SpanContext(event.trace_id, span, is_remote=False, trace_flags=event.trace_flags)


def _number(text: str, size: int) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=size).digest())


def _below(parent: SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(parent), Context())


@contextmanager
def _with_ids(ids: SpanContext) -> Iterator[None]:
    token = chosen.set(ids)
    try:
        yield
    finally:
        chosen.reset(token)
