"""What happened in a run, as a page tells it: its steps, its events and whom they were told."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from delivery.admin import shown
from delivery.models import Delivery, Event
from runs.models import Run, Step
from runs.states import FAILED_IN_SOME_WAY, RunStatus

STEPS_SHOWN_MAX = 200
EVENTS_SHOWN_MAX = 400
DELIVERIES_SHOWN_MAX = 500
# Steps have the same words for what they have in common with runs.
TONES: dict[str, str] = {
    RunStatus.COMPLETED: "good",
    **dict.fromkeys(FAILED_IN_SOME_WAY, "bad"),
    **dict.fromkeys((RunStatus.QUEUED, RunStatus.RUNNING), "busy"),
    RunStatus.PAUSED: "held",
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A delivery of an event of the run."""

    url: str
    key: str
    badge: str
    receiver: str
    #: last answer and attempts, or when the next one is due
    note: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: datetime
    #: since the run was made
    after: str
    tone: str
    title: str
    #: of its page; empty: it has none
    url: str = ""
    badge: str = ""
    note: str = ""
    told: list[Told] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    entries: list[Entry]
    is_cut: bool


def status_badge(status: str) -> str:
    return shown.badge(status, TONES.get(status, "quiet"))


def timeline(run: Run) -> Timeline:
    """The beginning of it, where it is very long."""
    steps = list(
        run.steps.order_by("index").defer("input", "output", "primary", "metadata", "error", "artifacts")[
            : STEPS_SHOWN_MAX + 1
        ]
    )
    events = Event.objects.filter(organization=run.organization_id, subject=run.public_id).order_by("id")
    found = list(events[: EVENTS_SHOWN_MAX + 1])
    deliveries = list(
        Delivery.objects.filter(event__in=[event.pk for event in found[:EVENTS_SHOWN_MAX]])
        .select_related("subscription")
        .order_by("id")[: DELIVERIES_SHOWN_MAX + 1]
    )
    entries = [
        *_of_run(run),
        *(_of_step(run, step) for step in steps[:STEPS_SHOWN_MAX]),
        *_of_events(run, found[:EVENTS_SHOWN_MAX], deliveries[:DELIVERIES_SHOWN_MAX]),
    ]
    return Timeline(
        # What happened at the same moment stays as above: a step, then its event.
        entries=sorted(entries, key=lambda entry: entry.at),
        is_cut=len(steps) > STEPS_SHOWN_MAX
        or len(found) > EVENTS_SHOWN_MAX
        or len(deliveries) > DELIVERIES_SHOWN_MAX,
    )


def _of_run(run: Run) -> Iterator[Entry]:
    yield _entry(run, run.created_at, "Created", tone="busy")
    if run.started_at is not None:
        yield _entry(run, run.started_at, "Started", tone="busy")
    if run.ended_at is not None:
        began = run.started_at or run.created_at
        took = shown.span((run.ended_at - began).total_seconds())
        badge = status_badge(run.status)
        yield _entry(
            run, run.ended_at, f"Ended after {took}", tone=TONES.get(run.status, "quiet"), badge=badge
        )


def _of_step(run: Run, step: Step) -> Entry:
    note = "not ended"
    if step.ended_at is not None:
        note = f"took {shown.span((step.ended_at - step.started_at).total_seconds())}"
    return _entry(
        run,
        step.started_at,
        f"Step {step.index}: {step.name or step.key}",
        tone=TONES.get(step.status, "quiet"),
        url=reverse("admin:runs_step_change", args=[step.pk]),
        badge=status_badge(step.status),
        note=note,
    )


def _of_events(run: Run, events: Sequence[Event], deliveries: Sequence[Delivery]) -> Iterator[Entry]:
    told: dict[UUID, list[Told]] = defaultdict(list)
    for delivery in deliveries:
        told[delivery.event_id].append(_told(delivery))
    for event in events:
        number = event.recipients
        yield _entry(
            run,
            event.occurred_at,
            event.type,
            tone="quiet",
            url=reverse("admin:delivery_event_change", args=[event.pk]),
            note=f"told {number} recipient{'' if number == 1 else 's'}" if number else "nobody to be told",
            told=told[event.pk],
        )


def _told(delivery: Delivery) -> Told:
    number = delivery.attempts
    parts = [f"{number} attempt{'' if number == 1 else 's'}"]
    if delivery.last_status_code is not None:
        parts.insert(0, f"answered {delivery.last_status_code}")
    if delivery.finished_at is None and delivery.next_attempt_at is not None:
        parts.append(f"next at {shown.moment(delivery.next_attempt_at)}")
    if delivery.replay_of_id is not None:
        parts.append("a replay")
    name = "callback" if delivery.subscription is None else delivery.subscription.name
    return Told(
        url=reverse("admin:delivery_delivery_change", args=[delivery.pk]),
        key=str(delivery.pk),
        badge=shown.state_badge(delivery.state),
        receiver=f"{name}, {shown.host(delivery.url)}",
        note=", ".join(parts),
    )


def _entry(
    run: Run,
    at: datetime,
    title: str,
    *,
    tone: str,
    url: str = "",
    badge: str = "",
    note: str = "",
    told: list[Told] | None = None,
) -> Entry:
    return Entry(
        at=at,
        after=shown.span((at - run.created_at).total_seconds()),
        tone=tone,
        title=title,
        url=url,
        badge=badge,
        note=note,
        told=told or [],
    )
