"""Who wants what, where, with which key: organizations, API keys, subscriptions, signing secrets."""

from enum import StrEnum

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from subscriptions.audit_entry import AuditEntry as AuditEntry  # a model of this app, too
from subscriptions.event_types import DisabledReason, PayloadFormat, RetryPolicyName, SignatureScheme
from subscriptions.idempotency import RememberedAnswer as RememberedAnswer  # a model of this app, too
from subscriptions.ids import new_organization_id, new_subscription_id
from subscriptions.secrets import opened_url

URL_MAX_CHARACTERS = 2048
RETENTION_HELP = "Empty: as the settings say; 0: for ever."


class Scope(models.TextChoices):
    """What an API key may do."""

    RUNS_WRITE = "runs:write"
    RUNS_READ = "runs:read"
    RUNS_IMPORT = "runs:import"
    WEBHOOKS_WRITE = "webhooks:write"
    WEBHOOKS_READ = "webhooks:read"
    DELIVERIES_READ = "deliveries:read"
    DELIVERIES_REPLAY = "deliveries:replay"
    ORGANIZATIONS_WRITE = "organizations:write"


# What a key gets when nobody says otherwise: all of its organization's own affairs. Importing sets
# ids and times by hand, and `organizations:write` is the platform's operator.
DEFAULT_SCOPES = [s.value for s in Scope if s not in (Scope.RUNS_IMPORT, Scope.ORGANIZATIONS_WRITE)]


def choices(names: type[StrEnum]) -> list[tuple[str, str]]:
    return [(name.value, name.value) for name in names]


def default_scopes() -> list[str]:
    return list(DEFAULT_SCOPES)


def default_schemes() -> list[str]:
    return [SignatureScheme.STANDARD_WEBHOOKS, SignatureScheme.HMAC_SHA256_HEX]


class Organization(models.Model):
    """The tenant; owns everything below."""

    public_id = models.CharField(max_length=64, unique=True, default=new_organization_id, editable=False)
    name = models.CharField(max_length=255, unique=True)
    contact_email = models.EmailField(blank=True, help_text="Gets notices, such as a disabled subscription.")
    # See delivery/retention/policy.py. None: as the settings say; 0: for ever.
    attempts_retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of the log of attempts. {RETENTION_HELP}"
    )
    bodies_retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of what was sent. {RETENTION_HELP}"
    )
    events_retention_days = models.PositiveIntegerField(
        null=True, blank=True, help_text=f"Of events with all that belongs to them. {RETENTION_HELP}"
    )
    # Raised to end all links to the portal and the sessions that they opened (portal/access.py).
    portal_generation = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A caller's key. Only its hash is kept, except of keys that sign webhooks (`signs`)."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys", help_text="The default organization."
    )
    organizations = models.ManyToManyField(
        Organization, blank=True, related_name="shared_api_keys", help_text="Others, picked by X-Org-Id."
    )
    name = models.CharField(max_length=255, blank=True)
    prefix = models.CharField(max_length=16, editable=False)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    signs = models.BooleanField(default=False, editable=False)
    encrypted_key = models.TextField(blank=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=64, choices=Scope.choices), default=default_scopes)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        permissions = [("revoke_apikey", "Can revoke API key")]
        constraints = [
            models.CheckConstraint(
                condition=Q(signs=True) ^ Q(encrypted_key=""), name="apikey_kept_only_if_it_signs"
            )
        ]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class Subscription(models.Model):
    """An organization's standing wish. Deleted ones stay as rows so that their logs stay readable."""

    id = models.BigIntegerField(primary_key=True, default=new_subscription_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="subscriptions")
    name = models.CharField(max_length=255)
    # As it is shown (subscriptions/masks.py); where its query hides something, the whole one is below.
    url = models.CharField(max_length=URL_MAX_CHARACTERS)
    encrypted_url = models.TextField(blank=True, default="", db_default="", editable=False)
    events = ArrayField(models.CharField(max_length=128))
    workflow_ids = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        help_text="Empty: events of all workflows.",
    )
    is_active = models.BooleanField(default=True)
    payload_format = models.CharField(
        max_length=32, choices=choices(PayloadFormat), default=PayloadFormat.ELAN_EVENT
    )
    signature_schemes = ArrayField(
        models.CharField(max_length=32, choices=choices(SignatureScheme)), default=default_schemes
    )
    retry_policy = models.CharField(
        max_length=32, choices=choices(RetryPolicyName), default=RetryPolicyName.STANDARD
    )
    retry_schedule = ArrayField(
        models.FloatField(),
        null=True,
        blank=True,
        help_text="Seconds between attempts; overrides the policy.",
    )
    timeout_seconds = models.FloatField(null=True, blank=True, help_text="Total deadline of one attempt.")
    rate_limit_per_second = models.FloatField(
        null=True, blank=True, help_text="The most requests per second, evenly spaced; empty: no limit."
    )
    encrypted_headers = models.TextField(blank=True, editable=False)
    header_names = ArrayField(models.CharField(max_length=255), default=list, blank=True, editable=False)
    # The service's own switch beside the owner's `is_active`: while it is set, what arrives is held.
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = models.CharField(
        max_length=32, blank=True, db_default="", choices=choices(DisabledReason), editable=False
    )
    # The first failure after the last success, to a minute (delivery/health.py); None: all is well.
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    # When it was told that this one fails (delivery/failing.py); None: it was not, or of its recovery since.
    failing_told_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The latest such time, whatever came after it.
    last_told_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Raised by every change here and of the secrets: the worker's cache is keyed by it.
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        permissions = [
            ("switch_subscription", "Can enable and disable subscription"),
            ("test_subscription", "Can send a test event to subscription"),
            ("recover_subscription", "Can send what is held for subscription"),
            ("rotate_subscription", "Can rotate the secret of subscription"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~Q(is_active=True, deleted_at__isnull=False),
                name="subscription_deleted_is_inactive",
            ),
            models.CheckConstraint(
                condition=Q(disabled_at__isnull=True) ^ ~Q(disabled_reason=""),
                name="subscription_disabled_for_a_reason",
            ),
            models.CheckConstraint(condition=Q(events__len__gt=0), name="subscription_has_events"),
            models.CheckConstraint(
                condition=Q(rate_limit_per_second__isnull=True) | Q(rate_limit_per_second__gt=0),
                name="subscription_rate_is_above_zero",
            ),
            models.CheckConstraint(
                condition=Q(id__gt=0, id__lt=2**53), name="subscription_id_is_exact_in_json"
            ),
        ]
        indexes = [
            # subscriptions/selectors.py recipients(): of an event.
            models.Index(fields=["organization"], name="subscription_active", condition=Q(is_active=True)),
            # subscriptions/selectors.py of_organization(): the list, newest last.
            models.Index(
                fields=["organization", "created_at"],
                name="subscription_listed",
                condition=Q(deleted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def full_url(self) -> str:
        """As its owner registered it; raises UndecryptableSecret."""
        return opened_url(self.url, self.encrypted_url)


class SigningSecret(models.Model):
    """One key that signs webhooks, of a subscription, a workflow, or (neither) the organization.

    Several may be in force at once while one replaces another: all of them sign.
    """

    class Kind(models.TextChoices):
        STANDARD = "standard", "Standard Webhooks key (whsec_…)"
        ED25519 = "ed25519", "Standard Webhooks key pair (whsk_…)"
        TEXT = "text", "the caller's text"

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="signing_secrets")
    subscription = models.ForeignKey(
        Subscription, on_delete=models.CASCADE, null=True, blank=True, related_name="signing_secrets"
    )
    workflow_id = models.CharField(max_length=128, blank=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    encrypted_secret = models.TextField(editable=False)
    # Of a pair: for everyone who verifies, `whpk_…`.
    public_key = models.CharField(max_length=64, blank=True, default="", db_default="", editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("see_secrets", "Can see a new secret or key, once")]
        constraints = [
            models.CheckConstraint(
                condition=Q(subscription__isnull=True) | Q(workflow_id=""), name="signingsecret_one_owner"
            )
        ]
        indexes = [
            # subscriptions/snapshots.py callback_keys(): keys of a workflow, else of the organization.
            models.Index(
                fields=["organization", "workflow_id"],
                name="signingsecret_of_callbacks",
                condition=Q(subscription__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class Notice(models.Model):
    """A mail to an organization's address, kept until the mail server has taken it."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="notices")
    address = models.EmailField()
    subject = models.CharField(max_length=200)
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Also the lease of whoever is sending it now.
    next_try_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=200, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # subscriptions/notices.py: what is due.
            models.Index(fields=["next_try_at"], name="notice_due", condition=Q(next_try_at__isnull=False))
        ]

    def __str__(self) -> str:
        return self.subject
