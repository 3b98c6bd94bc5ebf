"""How long attempts, bodies and events are kept: by an organization's own days, else by the settings'."""

from collections.abc import Iterator
from typing import NamedTuple

from django.conf import settings

from subscriptions.models import Organization

# A hundred years; of more no date can be made.
DAYS_MAX = 36_500


class Policy(NamedTuple):
    """Of one organization. 0 days: for ever."""

    organization_id: int
    #: how it is shown
    name: str
    attempts_days: int
    bodies_days: int
    events_days: int

    @property
    def attempts_alone_days(self) -> int:
        """Attempts go so long before their events do; 0: not before."""
        return _if_sooner(self.attempts_days, self.events_days)

    @property
    def bodies_alone_days(self) -> int:
        """The same of bodies."""
        return _if_sooner(self.bodies_days, self.events_days)


def _if_sooner(days: int, events_days: int) -> int:
    return days if days and (not events_days or days < events_days) else 0


def policies(
    organization: Organization | None = None, *, older_than_days: int | None = None
) -> Iterator[Policy]:
    """Of each organization, or of this one.

    `older_than_days` stands for all three days of the settings, and for the own days of an organization
    only where it is the one that is named: nobody loses by the way what they were promised to keep.
    """
    defaults = (
        (settings.ATTEMPTS_RETENTION_DAYS, settings.BODIES_RETENTION_DAYS, settings.EVENTS_RETENTION_DAYS)
        if older_than_days is None
        else (older_than_days,) * 3
    )
    rows = Organization.objects.order_by("pk") if organization is None else [organization]
    for row in rows:
        own = (row.attempts_retention_days, row.bodies_retention_days, row.events_retention_days)
        if organization is not None and older_than_days is not None:
            own = (None, None, None)
        days = [default if mine is None else mine for mine, default in zip(own, defaults, strict=True)]
        yield Policy(row.pk, f"{row.name} ({row.public_id})", *(min(each, DAYS_MAX) for each in days))
