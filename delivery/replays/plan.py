"""A replay that is wanted: what it asks for, whether that may be, and what it would do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now

from delivery.models import Delivery
from delivery.replays.filter import ReplayFilter, judged
from delivery.replays.model import Replay
from subscriptions.models import Organization
from subscriptions.selectors import subscription_get
from webhooks_project.errors import InvalidInput

RATE_MIN_PER_SECOND = 0.01
# PostgreSQL's code for a statement that ran into its time limit.
QUERY_CANCELED = "57014"


class TooManyToCount(InvalidInput):
    """Counting what matches takes too long: narrow the filter, for example by `since`."""

    code = "too_many_to_count"


@dataclass(frozen=True, kw_only=True)
class NewReplay:
    """What is to be replayed and how; the service fills in what is None."""

    organization: Organization | None
    filter: ReplayFilter
    include_delivered: bool = False
    new_ids: bool = False
    limit: int | None = None
    rate_per_second: float | None = None
    replay_key: str | None = None
    #: more than so many are refused; None: any number
    deliveries_max: int | None = None

    @property
    def again(self) -> bool:
        """Naming the state `delivered` asks for it."""
        return self.include_delivered or self.filter.asks_for_delivered

    @property
    def organization_id(self) -> int | None:
        return None if self.organization is None else self.organization.pk

    def condition(self, *, ended_before: Any) -> Q:
        return self.filter.condition(self.organization_id, ended_before=ended_before, again=self.again)

    def is_same_as(self, replay: Replay) -> bool:
        """Would it send the same? How fast does not matter."""
        mine = (self.filter.as_json(), self.again, self.new_ids)
        limits = (self.limit, self.limit or self.deliveries_max)
        return replay.limit in limits and mine == (replay.filter, replay.include_delivered, replay.new_ids)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a replay would do if it were carried out at this moment."""

    #: of what matches: how many would be replayed, by the state in which they ended
    by_state: Mapping[str, int]
    #: how many would not, by reason (`Skip`)
    skipped: Mapping[str, int]

    @property
    def replayable(self) -> int:
        return sum(self.by_state.values())

    @property
    def matched(self) -> int:
        return self.replayable + sum(self.skipped.values())


def check(new: NewReplay) -> None:
    """Raises InvalidInput, and NotFound for a subscription of somebody else."""
    rate, most = new.rate_per_second, settings.REPLAY_RATE_MAX_PER_SECOND
    if rate is not None and not RATE_MIN_PER_SECOND <= rate <= most:
        raise InvalidInput(
            f"rate_per_second must be from {RATE_MIN_PER_SECOND:g} to {most:g}",
            field="rate_per_second",
        )
    if new.deliveries_max is not None and (new.limit or 0) > new.deliveries_max:
        raise InvalidInput(f"limit may be {new.deliveries_max} at the most", field="limit", code="max_value")
    if new.organization is not None and new.filter.subscription_id is not None:
        subscription_get(new.organization, new.filter.subscription_id)


def forecast(new: NewReplay, *, count_seconds: float | None) -> Forecast:
    """Only count. Raises what `replay_create` raises about its values, and TooManyToCount."""
    check(new)
    rows = judged_now(new).values("state", "skip").annotate(count=Count("pk")).order_by("state")
    by_state: dict[str, int] = {}
    skipped: dict[str, int] = {}
    with _time_limit(count_seconds):
        for row in rows:
            counts, name = (skipped, row["skip"]) if row["skip"] else (by_state, row["state"])
            counts[name] = counts.get(name, 0) + row["count"]
    return Forecast(by_state=by_state, skipped=skipped)


def judged_now(new: NewReplay) -> QuerySet[Any]:
    """What would be looked at, each with why it would be skipped."""
    among = new.condition(ended_before=Now())
    rows = Delivery.objects.filter(among)
    if new.limit is not None:
        rows = Delivery.objects.filter(pk__in=rows.order_by("pk").values("pk")[: new.limit])
    return judged(rows, among, again=new.again, began_at=None)


def matched(new: NewReplay, ended_before: Any, *, count_seconds: float | None) -> int:
    """How many match of what had ended by then. Raises TooManyToCount, and InvalidInput for too many."""
    most = new.limit
    if most is None and new.deliveries_max is not None:
        most = new.deliveries_max + 1
    with _time_limit(count_seconds):
        count = Delivery.objects.filter(new.condition(ended_before=ended_before))[:most].count()
    if new.deliveries_max is not None and count > new.deliveries_max:
        raise InvalidInput(
            f"more than {new.deliveries_max} deliveries match: narrow the filter, or set a limit",
            field="limit",
            code="too_many_deliveries",
        )
    return count


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """A transaction of statements that may take so long each; None: any time."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if seconds is not None:
                cursor.execute("SET LOCAL statement_timeout = %s", [int(seconds * 1000)])
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) == QUERY_CANCELED:
            raise TooManyToCount from error
        raise
