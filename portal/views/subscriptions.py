"""An organization's subscriptions: seen, made, changed, switched, deleted; their secrets and tests."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse

from delivery import hold
from delivery import services as deliveries
from portal import health, standing
from portal.access import Visitor
from portal.forms import RotateForm, SubscriptionForm
from portal.pages import FORM, POST, done, page, shown
from subscriptions import services
from subscriptions.models import Organization, Scope, Subscription
from subscriptions.selectors import has_secret, of_organization, subscription_get
from subscriptions.signing_secrets import Rotation, previous_expires_at, public_keys_of

PER_PAGE = 50


def _listed(organization: Organization) -> QuerySet[Subscription]:
    return of_organization(organization).defer("encrypted_headers", "encrypted_url")


@page(Scope.WEBHOOKS_READ)
def listing(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """All subscriptions, with how they stand. There are at most some hundreds, so they may be counted."""
    found = Paginator(_listed(visitor.organization), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(subscription, standing.of_subscription(subscription)) for subscription in found]
    return shown(request, visitor, "subscriptions", found=found, rows=rows)


@page(Scope.WEBHOOKS_READ)
def detail(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    subscription = subscription_get(visitor.organization, subscription_id)
    prefetch_related_objects([subscription], "signing_secrets")  # three facts are worked out from them
    secrets = subscription.signing_secrets.all()
    return shown(
        request,
        visitor,
        "subscription",
        subscription=subscription,
        standing=standing.of_subscription(subscription),
        has_secret=has_secret(subscription),
        public_keys=public_keys_of(secrets),
        previous_expires_at=previous_expires_at(secrets),
        rotate_form=RotateForm(),
        lately=health.lately(subscription) if visitor.may(Scope.DELIVERIES_READ) else [],
    )


@page(Scope.WEBHOOKS_WRITE, methods=FORM)
def create(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    form = SubscriptionForm(request.POST or None)

    def save(values: dict[str, Any]) -> tuple[Subscription, str]:
        return services.subscription_create(organization=visitor.organization, values=values)

    made = form.carry_out(save) if request.method == "POST" else None
    if made is None:
        return shown(request, visitor, "subscription_form", form=form)
    subscription, secret = made
    if secret == form.cleaned_data["secret"]:
        return done(visitor, "subscription", "created", subscription.pk)
    return shown(request, visitor, "secret", subscription=subscription, secret=secret, is_new=True)


@page(Scope.WEBHOOKS_WRITE, methods=FORM)
def edit(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    subscription = subscription_get(visitor.organization, subscription_id)
    form = SubscriptionForm(request.POST or None, subscription=subscription)

    def save(values: dict[str, Any]) -> Subscription:
        return _update(visitor, subscription_id, values)

    if request.method == "POST" and form.carry_out(save) is not None:
        return done(visitor, "subscription", "saved", subscription_id)
    return shown(request, visitor, "subscription_form", form=form, subscription=subscription)


def _update(visitor: Visitor, subscription_id: int, values: dict[str, Any]) -> Subscription:
    return services.subscription_update(
        organization=visitor.organization, subscription_id=subscription_id, values=values
    )


@page(Scope.WEBHOOKS_WRITE, methods=POST)
def switch(request: HttpRequest, visitor: Visitor, subscription_id: int, on: bool) -> HttpResponse:
    """On takes back also what the service has disabled, as the API's `is_active` does."""
    _update(visitor, subscription_id, {"is_active": on})
    return done(visitor, "subscription", "enabled" if on else "disabled", subscription_id)


@page(Scope.WEBHOOKS_WRITE, methods=FORM)
def delete(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    """Asked first, for it is final."""
    subscription = subscription_get(visitor.organization, subscription_id)
    if request.method != "POST":
        return shown(request, visitor, "subscription_delete", subscription=subscription)
    services.subscription_delete(organization=visitor.organization, subscription_id=subscription_id)
    return done(visitor, "subscriptions", "deleted")


@page(Scope.WEBHOOKS_WRITE, methods=POST)
def rotate_secret(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    """The new secret is in this answer alone."""
    subscription = subscription_get(visitor.organization, subscription_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        text = form.errors["overlap_seconds"][0]
        return shown(request, visitor, "problem", status=422, text=text)
    rotation: Rotation = services.signing_secret_rotate(
        organization=visitor.organization,
        subscription=subscription,
        overlap_seconds=form.cleaned_data["overlap_seconds"],
    )
    return shown(
        request,
        visitor,
        "secret",
        subscription=subscription,
        secret=rotation.signing_secret,
        public_keys=rotation.public_keys,
        previous_expires_at=rotation.previous_expires_at,
    )


@page(Scope.WEBHOOKS_WRITE, methods=POST)
def test(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    """Send a test event and wait for its one attempt, which the delivery's page then shows."""
    with deliveries.one_waiting_place(visitor.organization):
        subscription = subscription_get(visitor.organization, subscription_id)
        delivery = deliveries.send_test(organization=visitor.organization, subscription_id=subscription_id)
        deliveries.wait_for_attempt(delivery, seconds=deliveries.test_wait_seconds(subscription))
    if visitor.may(Scope.DELIVERIES_READ):
        return done(visitor, "delivery", "tested", delivery.pk)
    return done(visitor, "subscription", "tested", subscription_id)


@page(Scope.DELIVERIES_REPLAY, methods=POST)
def recover(request: HttpRequest, visitor: Visitor, subscription_id: int) -> HttpResponse:
    """Send all that was held while the service had it disabled."""
    subscription = subscription_get(visitor.organization, subscription_id)
    hold.recover(
        organization=visitor.organization, subscription_id=subscription_id, since=subscription.created_at
    )
    return done(visitor, "subscription", "recovered", subscription_id)
