"""What signs webhooks: kept, exchanged with an overlap, and the public halves of key pairs.

Each is of a subscription, of a workflow's callbacks, or (neither) of the organization's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from subscriptions import keys, secrets
from subscriptions.models import Organization, SigningSecret, Subscription
from webhooks_project.errors import Conflict

Kind = SigningSecret.Kind
# Each signs every request once more, and its signature makes the header longer.
IN_FORCE_MAX = 4


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What came of an exchange; the secret is shown this once."""

    signing_secret: str
    #: of all pairs that sign now, newest first
    public_keys: list[str]
    #: until when what was in force before goes on signing; None: there is nothing such
    previous_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose secrets."""

    organization: Organization
    subscription: Subscription | None = None
    workflow_id: str = ""

    @property
    def secrets(self) -> QuerySet[SigningSecret]:
        return SigningSecret.objects.filter(
            organization=self.organization, subscription=self.subscription, workflow_id=self.workflow_id
        )

    def keep(self, secret: str, kind: str, *, public_key: str = "") -> None:
        SigningSecret.objects.create(
            organization=self.organization,
            subscription=self.subscription,
            workflow_id=self.workflow_id,
            kind=kind,
            encrypted_secret=secrets.encrypt(secret),
            public_key=public_key,
        )

    def make_pair(self) -> None:
        """The private key is shown to nobody."""
        private, public = keys.new_key_pair()
        self.keep(private, Kind.ED25519, public_key=public)

    def has_pair(self) -> bool:
        return self.secrets.filter(kind=Kind.ED25519, expires_at=None).exists()


def rotate(owner: Owner, *, overlap_seconds: float) -> Rotation:
    """A new Standard Webhooks secret, and a new key pair where there is one; no overlap ends the old at once.

    The caller's lock keeps two rotations apart: each leaves one secret of a kind without an end.
    Raises Conflict where more than IN_FORCE_MAX of a kind would sign.
    """
    inherited = Owner(organization=owner.organization)
    has_pair = owner.has_pair() or (owner.subscription is None and inherited.has_pair())
    if owner.workflow_id:
        _inherit(owner, inherited)
    # The database's clock decides what has ended, as it does when webhooks are signed.
    generated = owner.secrets.filter(kind__in=(Kind.STANDARD, Kind.ED25519))
    generated.filter(expires_at__lte=Now()).delete()
    if overlap_seconds:
        _refuse_one_more(generated)
        end = Now() + timedelta(seconds=overlap_seconds)
        generated.filter(Q(expires_at=None) | Q(expires_at__gt=end)).update(expires_at=end)
    else:
        generated.delete()
    secret = keys.new_standard_secret()
    owner.keep(secret, Kind.STANDARD)
    if has_pair:
        owner.make_pair()
    found = list(owner.secrets)
    return Rotation(
        signing_secret=secret,
        public_keys=public_keys_of(found),
        previous_expires_at=previous_expires_at(found),
    )


def _refuse_one_more(generated: QuerySet[SigningSecret]) -> None:
    in_force = Counter(generated.values_list("kind", flat=True))
    if max(in_force.values(), default=0) >= IN_FORCE_MAX:
        raise Conflict(
            f"{IN_FORCE_MAX} secrets sign at once already: rotate again when one of them has ended, "
            "or end them all now with overlap_seconds 0",
            field="overlap_seconds",
            code="too_many_secrets",
        )


def _inherit(owner: Owner, organization: Owner) -> None:
    """A workflow that gets secrets of its own: those of the organization sign beside them for the overlap."""
    own_kinds = set(owner.secrets.values_list("kind", flat=True))
    for row in organization.secrets.exclude(kind__in=own_kinds).order_by("pk"):
        row.pk, row.workflow_id = None, owner.workflow_id
        row._state.adding = True
        row.save(force_insert=True)


def previous_expires_at(rows: Iterable[SigningSecret]) -> datetime | None:
    """When the last of those that have been replaced stops signing, if one still signs."""
    now = timezone.now()
    ends = [row.expires_at for row in rows if row.expires_at is not None and row.expires_at > now]
    return max(ends, default=None)


def public_keys_of(rows: Iterable[SigningSecret]) -> list[str]:
    """The public halves of the pairs in force, newest first."""
    now = timezone.now()
    in_force = [row for row in rows if row.public_key and (row.expires_at is None or row.expires_at > now)]
    return [row.public_key for row in sorted(in_force, key=lambda row: -row.pk)]


def callback_public_keys(organization_id: int) -> Mapping[str, list[str]]:
    """By workflow, and under "" the organization's, which count for workflows without their own."""
    of_callbacks = SigningSecret.objects.filter(organization=organization_id, subscription=None)
    found: dict[str, list[SigningSecret]] = {}
    for row in of_callbacks.exclude(public_key=""):
        found.setdefault(row.workflow_id, []).append(row)
    return {workflow_id: public_keys_of(of_one) for workflow_id, of_one in found.items()}


def ensure_callback_pair(organization: Organization, workflow_id: str) -> None:
    """A workflow whose callbacks are signed by a pair has one: its own, or the organization's.

    Two calls at once wait for each other at the organization's row.
    """
    Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    own = Owner(organization=organization, workflow_id=workflow_id)
    shared = Owner(organization=organization)
    if not own.has_pair() and not shared.has_pair():
        shared.make_pair()
