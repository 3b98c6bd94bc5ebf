"""Changes that people make to organizations and API keys in the admin."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model

from subscriptions import audit, rules
from subscriptions.models import ApiKey, Organization

Row = TypeVar("Row", bound=Model)


@transaction.atomic
def organization_update(organization: Organization, values: Mapping[str, Any]) -> Organization:
    """Raises InvalidInput for days that are too few."""
    rules.check_retention(values)
    before = _change(organization, values)
    audit.record_change(
        "organization.updated",
        organization.public_id,
        organization=organization,
        before=before,
        after=values,
    )
    return organization


@transaction.atomic
def api_key_update(key: ApiKey, values: Mapping[str, Any]) -> ApiKey:
    """Only these columns are written: a revocation that happens meanwhile is kept."""
    before = _change(key, values)
    audit.record_change(
        "api_key.updated", key.prefix, organization=key.organization_id, before=before, after=values
    )
    return key


def _change(row: Row, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set and save `values`; returns them as they were."""
    stored = type(row)._default_manager.select_for_update(of=("self",)).get(pk=row.pk)
    before = {name: getattr(stored, name) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    row.save(update_fields=list(values))
    return before
