"""Pages of the log of attempts, which may have millions of rows: by an index, and never counted."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from delivery import selectors
from delivery.models import Attempt
from subscriptions.models import Organization, Subscription

PER_PAGE = 50
# Of the index, for a page of failures. Where nothing fails, looking further would read the whole log.
SCANNED_ROWS_MAX = 5_000


@dataclass(frozen=True)
class LogPage:
    """Some attempts, newest first."""

    attempts: list[Attempt]
    #: what is older is asked for with this; None: that was all
    before: UUID | None
    #: it ended because so many were looked at, and there may be more
    is_cut: bool = False


def log_page(
    organization: Organization, subscription: Subscription | None, *, before: UUID | None, failed: bool
) -> LogPage:
    """At most PER_PAGE of the organization's, or of one of its subscriptions, older than `before`."""
    keys, reach = _keys(organization, subscription, before), None
    if failed:
        reach = next(iter(keys[SCANNED_ROWS_MAX - 1 : SCANNED_ROWS_MAX]), None)
    some = keys[: SCANNED_ROWS_MAX if failed else PER_PAGE + 1]
    chosen = selectors.attempts(organization).filter(id__in=some)
    if failed:
        chosen = chosen.filter(success=False)
    chosen = chosen.defer("request_headers", "response_headers", "staff_detail")
    found = list(chosen[: PER_PAGE + 1])
    if len(found) > PER_PAGE:
        return LogPage(found[:PER_PAGE], found[PER_PAGE - 1].pk)
    return LogPage(found, reach, is_cut=reach is not None)


def _keys(
    organization: Organization, subscription: Subscription | None, before: UUID | None
) -> QuerySet[Attempt, UUID]:
    """By the index that begins with their owner, whatever the statistics say.

    Of an owner that equals something PostgreSQL drops the order by it: then the primary key's index is in
    order as well, and of a subscription that is silent it reads all rows of others that are newer.
    A range of one keeps the order, which that index alone has.
    """
    name, owner = ("organization_id", organization.pk)
    if subscription is not None:
        assert subscription.organization_id == owner
        name, owner = ("subscription_id", subscription.pk)
    rows = Attempt.objects.filter(**{f"{name}__gte": owner, f"{name}__lte": owner}).order_by(name, "-id")
    if before is not None:
        rows = rows.filter(id__lt=before)
    return rows.values_list("id", flat=True)
