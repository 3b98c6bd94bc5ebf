"""Making links, and ending them."""

from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from portal.access import LINK, Ticket
from subscriptions import audit
from subscriptions.models import ApiKey, Organization


@transaction.atomic
def link_create(
    *,
    organization: Organization,
    key: ApiKey,
    lifetime_seconds: int | None = None,
    read_only: bool = False,
    name: str = "",
) -> tuple[str, datetime]:
    """A link to the organization's pages, on which the key's scopes count; it can be opened until then."""
    seconds = lifetime_seconds or settings.PORTAL_LINK_LIFETIME_SECONDS
    expires_at = (timezone.now() + timedelta(seconds=seconds)).replace(microsecond=0)
    ticket = Ticket(
        key_hash=key.key_hash,
        organization=organization.public_id,
        # Of this moment: a process remembers a key's organization for some seconds.
        generation=Organization.objects.values_list("portal_generation", flat=True).get(pk=organization.pk),
        name=name,
        read_only=read_only,
        ends_at=int(expires_at.timestamp()),
    )
    facts = {"name": name, "read_only": read_only, "expires_at": expires_at}
    audit.record("portal.link_created", organization.public_id, organization=organization, after=facts)
    query = urlencode({"token": ticket.signed(LINK)})
    return f"{settings.PUBLIC_BASE_URL}{reverse('portal:enter')}?{query}", expires_at


@transaction.atomic
def links_revoke(organization: Organization) -> None:
    """All links of the organization and the sessions that they opened end now."""
    Organization.objects.filter(pk=organization.pk).update(portal_generation=F("portal_generation") + 1)
    audit.record("portal.links_revoked", organization.public_id, organization=organization)
