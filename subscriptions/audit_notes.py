"""What the audit is told of organizations, keys, subscriptions and secrets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from subscriptions.audit import record, record_change
from subscriptions.models import ApiKey, Organization, Subscription

_OF_A_SUBSCRIPTION = (
    "name url events workflow_ids is_active disabled_reason payload_format signature_schemes retry_policy "
    "retry_schedule timeout_seconds rate_limit_per_second"
).split()


def facts(subscription: Subscription) -> dict[str, Any]:
    shown = {name: getattr(subscription, name) for name in _OF_A_SUBSCRIPTION}
    # Of the URL's query only that it changed.
    return shown | {"url_query": subscription.encrypted_url}


def organization_created(organization: Organization) -> None:
    values = {"name": organization.name, "contact_email": organization.contact_email}
    record("organization.created", organization.public_id, organization=organization, after=values)


def api_key_created(key: ApiKey) -> None:
    values = {name: getattr(key, name) for name in ("name", "scopes", "signs", "expires_at")}
    values["organizations"] = list(key.organizations.values_list("public_id", flat=True))
    record("api_key.created", key.prefix, organization=key.organization_id, after=values)


def api_key_revoked(key: ApiKey, revoked_at: datetime) -> None:
    record("api_key.revoked", key.prefix, organization=key.organization_id, after={"revoked_at": revoked_at})


def subscription_created(subscription: Subscription, values: Mapping[str, Any]) -> None:
    after = facts(subscription) | _written_only(values)
    record("subscription.created", subscription.pk, organization=subscription.organization_id, after=after)


def subscription_updated(
    subscription: Subscription, before: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    record_change(
        "subscription.updated",
        subscription.pk,
        organization=subscription.organization_id,
        before=before,
        after=facts(subscription) | _written_only(values),
    )


def subscription_disabled(subscription: Subscription) -> None:
    after = {"disabled_reason": subscription.disabled_reason}
    record("subscription.disabled", subscription.pk, organization=subscription.organization_id, after=after)


def subscription_deleted(subscription: Subscription) -> None:
    before = {"name": subscription.name, "url": subscription.url}
    record("subscription.deleted", subscription.pk, organization=subscription.organization_id, before=before)


def secret_rotated(
    organization: Organization, subscription: Subscription | None, workflow_id: str, overlap_seconds: float
) -> None:
    """Whose secret it is shows in the action's name."""
    after = {"overlap_seconds": overlap_seconds}
    if subscription is not None:
        record("subscription.secret_rotated", subscription.pk, organization=organization, after=after)
    elif workflow_id:
        record("workflow.secret_rotated", workflow_id, organization=organization, after=after)
    else:
        record("organization.secret_rotated", organization.public_id, organization=organization, after=after)


def _written_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """What nobody can read again: that it was given is told."""
    return {name: values[name] for name in ("secret", "headers") if name in values}
