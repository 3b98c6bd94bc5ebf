"""Which deliveries a replay is about, and which of them are not to be sent again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from delivery.models import Delivery
from delivery.selectors import is_body_kept
from delivery.states import ENDED, State
from subscriptions.ids import first_uuid7
from webhooks_project.errors import InvalidInput

# What was delivered is sent again only on request.
DEFAULT_STATES = (State.BLOCKED, State.CANCELLED, State.EXHAUSTED)
# Not `finished_at IS NULL`: that tempts PostgreSQL into the index of all that is unfinished, which a
# replay itself fills; of an event there are few deliveries.
NOT_ENDED = sorted(set(State) - ENDED)
NO_ANSWER = "none"
ANSWERS = (*(f"{n}xx" for n in range(1, 6)), NO_ANSWER)
# A key begins with the time by the clock of the machine that made it; an hour is for clocks that
# differ and for long transactions.
CLOCKS_DIFFER = timedelta(hours=1)
# What tells two callbacks apart whose URLs differ only in what is masked (delivery/callbacks.py).
CALLBACK_TARGET = Coalesce(KeyTextTransform("target", "callback"), Value("", output_field=TextField()))


class Skip(StrEnum):
    """Why a delivery that matches is not sent again."""

    PRUNED = "body_pruned"
    STOPPED = "subscription_stopped"
    DELIVERED = "delivered_since"
    OPEN = "replay_open"
    REPLAYED = "replayed_since"
    REPEATED = "repeated"


@dataclass(frozen=True, kw_only=True)
class ReplayFilter:
    """All that is given must match."""

    #: what the deliveries ended as
    states: tuple[str, ...] = ()
    subscription_id: int | None = None
    event_types: tuple[str, ...] = ()
    #: made at this time or later, and before that
    since: datetime | None = None
    until: datetime | None = None
    #: the last answer: `4xx`, or `none` where there was none
    answers: tuple[str, ...] = ()
    #: what the events are about
    run_id: str = ""
    delivery_ids: tuple[UUID, ...] = ()

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidInput("until must be later than since", field="until", code="empty_range")

    def as_json(self) -> dict[str, Any]:
        """What is given, in one spelling, so that equal filters are equal."""
        return {name: _plain(value) for name, value in asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        values = {field.name: row[field.name] for field in fields(cls) if field.name in row}
        for name in ("states", "event_types", "answers"):
            values[name] = tuple(values.get(name, ()))
        for name in ("since", "until"):
            values[name] = datetime.fromisoformat(values[name]) if name in values else None
        values["delivery_ids"] = tuple(map(UUID, values.get("delivery_ids", ())))
        return cls(**values)

    @property
    def asks_for_delivered(self) -> bool:
        return State.DELIVERED in self.states

    @property
    def starts_after(self) -> UUID:
        """Below the key of every delivery that may match, so that the primary key skips what is older."""
        return UUID(int=0) if self.since is None else _key_at(self.since, -CLOCKS_DIFFER)

    def scope(self, organization_id: int | None) -> Q:
        """The part that an index answers: where to look."""
        found = Q(id__gt=self.starts_after)
        if self.until is not None:
            found &= Q(id__lt=_key_at(self.until, CLOCKS_DIFFER))
        if organization_id is not None:
            found &= Q(organization_id=organization_id)
        if self.subscription_id is not None:
            found &= Q(subscription_id=self.subscription_id)
        if self.delivery_ids:
            found &= Q(id__in=self.delivery_ids)
        return found

    def condition(self, organization_id: int | None, *, ended_before: Any, again: bool) -> Q:
        """What matches of that which had ended by `ended_before`, by the database's clock.

        `again`: also what was delivered, if no states are given. Test events and single attempts that
        a person asked for are left out unless named by id.
        """
        found = self.scope(organization_id) & Q(finished_at__lt=ended_before)
        found &= Q(state__in=self.states or (sorted(ENDED) if again else DEFAULT_STATES))
        if not self.delivery_ids:
            found &= Q(is_test=False, once=False)
        if self.since is not None:
            found &= Q(created_at__gte=self.since)
        if self.until is not None:
            found &= Q(created_at__lt=self.until)
        if self.answers:
            found &= _answered(self.answers)
        if self.run_id:
            found &= Q(event__subject=self.run_id)
            if organization_id is not None:
                # Both, for each table has its own index.
                found &= Q(event__organization_id=organization_id)
        if self.event_types:
            found &= Q(event__type__in=self.event_types)
        return found


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, tuple):
        return sorted({str(item) for item in value})
    return value


def _key_at(moment: datetime, away: timedelta) -> UUID:
    """The first key so far away from the moment, which may be the first or last there is."""
    return first_uuid7(int((moment.timestamp() + away.total_seconds()) * 1000))


def _answered(answers: tuple[str, ...]) -> Q:
    found = Q(pk__in=[])
    for answer in answers:
        if answer == NO_ANSWER:
            found |= Q(last_status_code=None)
        else:
            first = int(answer[0]) * 100
            found |= Q(last_status_code__gte=first, last_status_code__lt=first + 100)
    return found


def judged(rows: QuerySet[Delivery], among: Q, *, again: bool, began_at: datetime | None) -> QuerySet[Any]:
    """The rows with `skip`: why each is not to be replayed (a `Skip`), or "".

    Its event may have reached its target by another delivery, or be on its way there. With `again`,
    what was delivered since is no reason. Of several of `among` for one event and target the first
    counts. `began_at` is when the replay of these rows was made. The target of a callback is its URL.
    """
    # Of a callback its URL, else null, which equals nothing.
    rows = rows.annotate(
        callback_url=Case(When(subscription__isnull=True, then=F("url"))), callback_target=CALLBACK_TARGET
    )
    same_target = Q(subscription_id=OuterRef("subscription_id")) | Q(
        subscription__isnull=True, url=OuterRef("callback_url"), target=OuterRef("callback_target")
    )
    others = Delivery.objects.annotate(target=CALLBACK_TARGET).filter(
        same_target, event_id=OuterRef("event_id")
    )
    others = others.exclude(pk=OuterRef("pk"))
    stopped = Q(subscription__isnull=False, is_test=False) & ~Q(
        subscription__is_active=True, subscription__disabled_at__isnull=True
    )
    reasons: dict[Skip, Any] = {Skip.PRUNED: ~is_body_kept(), Skip.STOPPED: stopped}
    if not again:
        reasons[Skip.DELIVERED] = Q(Exists(others.filter(state=State.DELIVERED)))
    reasons[Skip.OPEN] = Q(Exists(others.filter(state__in=NOT_ENDED)))
    if began_at is not None:
        reasons[Skip.REPLAYED] = Q(Exists(others.filter(created_at__gte=began_at)))
    reasons[Skip.REPEATED] = Q(Exists(others.filter(among, pk__lt=OuterRef("pk"))))
    cases = [When(condition, then=Value(reason.value)) for reason, condition in reasons.items()]
    return rows.annotate(skip=Case(*cases, default=Value(""), output_field=CharField()))
