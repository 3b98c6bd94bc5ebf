"""eachlabs' log of webhooks: what was sent about executions, and each attempt."""

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from delivery import selectors
from delivery.formats import seconds_z
from delivery.models import Attempt, Delivery
from delivery.states import OPEN
from runs.dialects.eachlabs import serializers as shapes
from runs.dialects.eachlabs.base import ERRORS, EachlabsViewSet
from runs.dialects.eachlabs.profile import PROFILE
from runs.models import Run
from subscriptions.api.base import PageQuery, valid
from subscriptions.masks import shown_url
from subscriptions.models import Organization, Scope
from webhooks_project.errors import NotFound

SOURCE = "workflows"


def callbacks(organization: Organization) -> QuerySet[Delivery]:
    """Deliveries to the callbacks of eachlabs' executions, replays included, newest first."""
    executions = Run.objects.filter(
        organization=organization, workflow__dialect=PROFILE.name, public_id=OuterRef("event__subject")
    )
    rows = selectors.deliveries(organization).filter(Exists(executions), callback__isnull=False)
    log = Prefetch("attempt_log", queryset=Attempt.objects.order_by("id"))
    return rows.select_related("event", "body").prefetch_related(log)


class WebhookLogViewSet(EachlabsViewSet):
    """Webhooks of executions; replays are attempts of the webhook that they repeat."""

    read_scope = Scope.DELIVERIES_READ

    @extend_schema(parameters=[PageQuery], responses={200: shapes.EachlabsWebhooks} | ERRORS)
    def list(self, request: Request) -> Response:
        """Newest first."""
        query = valid(PageQuery, request.query_params)
        limit, offset = query["limit"], query["offset"]
        rows = callbacks(self.organization).filter(replay_of=None)[offset : offset + limit]
        webhooks = [_webhook(delivery) for delivery in rows]
        return Response({"webhooks": webhooks, "limit": limit, "offset": offset})

    @extend_schema(responses={200: shapes.EachlabsWebhookStory} | ERRORS)
    def retrieve(self, request: Request, execution_id: str) -> Response:
        """The execution's webhook with its attempts, oldest first."""
        made = list(callbacks(self.organization).filter(event__subject=execution_id).order_by("id"))
        if not made:
            raise NotFound("webhook not found")
        done = [attempt for delivery in made for attempt in delivery.attempt_log.all()]
        attempts = [_attempt(attempt) for attempt in sorted(done, key=lambda attempt: attempt.id)]
        attempts += [_pending(delivery) for delivery in made if delivery.state in OPEN]
        return Response(_webhook(made[0]) | {"attempts": attempts})


def _webhook(delivery: Delivery) -> dict[str, Any]:
    made = [attempt.request_headers for attempt in delivery.attempt_log.all() if attempt.request_headers]
    return {
        "execution_id": delivery.event.subject,
        "url": shown_url(delivery.url),
        # Nothing once the retention has deleted it.
        "request": "" if delivery.body is None else bytes(delivery.body.body).decode(),
        # Values that carry secrets are masked when an attempt is logged.
        "headers": made[-1] if made else {"Content-Type": "application/json"},
        "source": SOURCE,
        "created_at": seconds_z(delivery.created_at),
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """An answer outside 2xx has no message here: its code and body say all."""
    answered = attempt.status_code is not None
    return {
        "status": "SUCCESS" if attempt.success else "FAILED",
        "status_code": attempt.status_code,
        "response": attempt.response_body,
        "error_message": None if answered else attempt.error_message,
        "created_at": seconds_z(attempt.created_at),
    }


def _pending(delivery: Delivery) -> dict[str, Any]:
    """The attempt that is still to come, with the moment since when the delivery waits for it."""
    made = list(delivery.attempt_log.all())
    since = made[-1].created_at if made else delivery.created_at
    return {
        "status": "PENDING",
        "status_code": None,
        "response": None,
        "error_message": None,
        "created_at": seconds_z(since),
    }
