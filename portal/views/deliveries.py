"""The log, deliveries with their attempts, and replays."""

from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from delivery import selectors
from delivery.admin import shown as laid_out
from delivery.models import Attempt, Replay
from delivery.replays import services as replays
from delivery.replays.filter import ReplayFilter
from delivery.replays.model import UNFINISHED
from delivery.replays.plan import NewReplay, forecast
from delivery.states import ENDED, State
from portal import standing
from portal.access import Visitor
from portal.forms import ReplayForm
from portal.log import log_page
from portal.pages import FORM, POST, done, page, shown
from subscriptions.models import Scope, Subscription
from subscriptions.selectors import subscription_get
from webhooks_project.errors import InvalidInput

ATTEMPTS_SHOWN_MAX = 100
REPLAYS_SHOWN_MAX = 10


@page(Scope.DELIVERIES_READ)
def log(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Every attempt, of one subscription or of all, newest first."""
    # Also one that was deleted: what was sent to it stays.
    subscription = _subscription(visitor, request.GET.get("subscription", ""), also_deleted=True)
    failed = request.GET.get("show") == "failed"
    before = _cursor(request.GET.get("before", ""))
    found = log_page(visitor.organization, subscription, before=before, failed=failed)
    attempts = [(attempt, standing.of_attempt(attempt)) for attempt in found.attempts]
    return shown(
        request, visitor, "log", found=found, attempts=attempts, subscription=subscription, failed=failed
    )


def _subscription(visitor: Visitor, text: str, *, also_deleted: bool = False) -> Subscription | None:
    """Raises NotFound."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**53))):
        raise InvalidInput("subscription must be its number", field="subscription")
    return subscription_get(visitor.organization, int(text), also_deleted=also_deleted)


def _cursor(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise InvalidInput("before must be the id of an attempt", field="before") from None


@page(Scope.DELIVERIES_READ)
def detail(request: HttpRequest, visitor: Visitor, delivery_id: UUID) -> HttpResponse:
    """What was to be sent, where it stands, and each attempt with its answer."""
    delivery = selectors.delivery_get(visitor.organization, delivery_id)
    attempts = delivery.attempt_log.order_by("id")[:ATTEMPTS_SHOWN_MAX]
    body = delivery.kept_body()
    return shown(
        request,
        visitor,
        "delivery",
        delivery=delivery,
        standing=standing.of_delivery(delivery),
        attempts=[(attempt, standing.of_attempt(attempt), _headers(attempt)) for attempt in attempts],
        body=None if body is None else laid_out.body(bytes(body.body)),
        payload_format="" if body is None else body.payload_format,
        may_send_again=delivery.state in ENDED and body is not None,
        is_moving=delivery.state not in ENDED and delivery.state != State.HELD,
    )


def _headers(attempt: Attempt) -> list[tuple[str, list[tuple[str, str]]]]:
    """Those of the request and of the answer, where there are any. The recorder keeps no secret in them."""
    kept = [("Request", attempt.request_headers), ("Answer", attempt.response_headers)]
    return [(name, pairs) for name, headers in kept if (pairs := laid_out.pairs(headers))]


@page(Scope.DELIVERIES_READ, Scope.DELIVERIES_REPLAY, methods=POST)
def replay_one(request: HttpRequest, visitor: Visitor, delivery_id: UUID) -> HttpResponse:
    copy = replays.replay(organization=visitor.organization, delivery_id=delivery_id)
    return done(visitor, "delivery", "replayed", copy.pk)


@page(Scope.DELIVERIES_READ, Scope.DELIVERIES_REPLAY, methods=FORM)
def replay_failures(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Count first, or begin: all failures since a time, in the background."""
    given = request.POST if request.method == "POST" else None
    initial = {
        "since": ReplayForm.a_day_ago(),
        "subscription_id": request.GET.get("subscription", ""),
        "replay_key": f"portal-{uuid4().hex}",
    }
    form, counted = ReplayForm(given, initial=initial), None
    asked = given.get("subscription_id", "") if given is not None else initial["subscription_id"]
    subscription = _subscription(visitor, asked)
    if given is not None and form.is_valid():
        new = NewReplay(
            organization=visitor.organization,
            filter=ReplayFilter(
                subscription_id=None if subscription is None else subscription.pk,
                since=form.cleaned_data["since"],
            ),
            deliveries_max=settings.REPLAY_DELIVERIES_MAX,
            replay_key=form.cleaned_data["replay_key"],
        )
        try:
            if "count" not in given:
                made, _ = replays.replay_create(new, count_seconds=settings.REPLAY_COUNT_MAX_SECONDS)
                return done(visitor, "replay", "started", made.pk)
            counted = forecast(new, count_seconds=settings.REPLAY_COUNT_MAX_SECONDS)
        except InvalidInput as error:
            form.add_error("since", error.detail)
    latest = selectors.replays(visitor.organization)[:REPLAYS_SHOWN_MAX]
    return shown(
        request,
        visitor,
        "replay_failures",
        form=form,
        subscription=subscription,
        counted=counted,
        left_out=[] if counted is None else standing.left_out(counted.skipped),
        latest=latest,
    )


@page(Scope.DELIVERIES_READ)
def replay(request: HttpRequest, visitor: Visitor, replay_id: UUID) -> HttpResponse:
    """How far it has come."""
    found = selectors.replay_get(visitor.organization, replay_id)
    return shown(
        request,
        visitor,
        "replay",
        replay=found,
        left_out=standing.left_out(found.skipped),
        is_moving=found.state in UNFINISHED,
    )


@page(Scope.DELIVERIES_READ, Scope.DELIVERIES_REPLAY, methods=POST)
def replay_cancel(request: HttpRequest, visitor: Visitor, replay_id: UUID) -> HttpResponse:
    found: Replay = selectors.replay_get(visitor.organization, replay_id)
    replays.replay_cancel(found)
    return done(visitor, "replay", "cancelled", replay_id)
