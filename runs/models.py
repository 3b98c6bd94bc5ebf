"""Workflows and their versions, runs and their steps."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from runs.dialects import names as dialect_names
from runs.fields import OrderedJSONField
from runs.states import RunStatus, StepStatus
from subscriptions.event_types import PayloadFormat, RetryPolicyName, SignatureScheme
from subscriptions.models import URL_MAX_CHARACTERS, ApiKey, Organization, choices
from subscriptions.secrets import opened_url

PUBLIC_ID_MAX_CHARACTERS = 128
PUBLIC_ID = rf"[A-Za-z0-9_.:-]{{1,{PUBLIC_ID_MAX_CHARACTERS}}}"


RUN_STATUSES = choices(RunStatus)
STEP_STATUSES = choices(StepStatus)


def dialect_choices() -> list[tuple[str, str]]:
    """Asked when needed, so that a further dialect needs no migration."""
    return [(name, name) for name in dialect_names()]


class Workflow(models.Model):
    """What can be run. Its webhook settings are in its versions; the newest one is for new runs."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="workflows")
    public_id = models.CharField(max_length=PUBLIC_ID_MAX_CHARACTERS, editable=False)
    name = models.CharField(max_length=255)
    slug = models.CharField(  # noqa: DJ001 - unique where it is given
        max_length=PUBLIC_ID_MAX_CHARACTERS, null=True, blank=True, help_text="A name for URLs."
    )
    dialect = models.CharField(max_length=32, choices=dialect_choices)
    version = models.ForeignKey(
        "WorkflowVersion", on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            # Also serves runs/selectors.py workflow_get().
            models.UniqueConstraint(fields=["organization", "public_id"], name="workflow_id_once"),
            models.UniqueConstraint(
                fields=["organization", "dialect", "slug"],
                name="workflow_slug_once",
                condition=Q(slug__isnull=False),
            ),
        ]
        indexes = [
            # runs/selectors.py workflows(): the list, newest first.
            models.Index(F("organization"), F("created_at").desc(), F("id").desc(), name="workflow_listed")
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """The outputs and webhook settings of a workflow at one time; never changed, a run keeps its own."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    public_id = models.CharField(max_length=PUBLIC_ID_MAX_CHARACTERS, editable=False)
    outputs = OrderedJSONField(null=True, blank=True, help_text="Name of an output -> path into the run.")
    # As it is shown; where its query hides something, the whole one is below.
    webhook_url = models.CharField(max_length=URL_MAX_CHARACTERS, blank=True)
    encrypted_webhook_url = models.TextField(blank=True, default="", db_default="", editable=False)
    payload_format = models.CharField(max_length=32, choices=choices(PayloadFormat))
    signature_schemes = ArrayField(models.CharField(max_length=32, choices=choices(SignatureScheme)))
    retry_policy = models.CharField(max_length=32, choices=choices(RetryPolicyName))
    retry_schedule = ArrayField(models.FloatField(), null=True, blank=True)
    timeout_seconds = models.FloatField()
    encrypted_headers = models.TextField(blank=True, db_default="", editable=False)
    header_names = ArrayField(models.CharField(max_length=255), blank=True, db_default=[], editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "public_id"], name="workflowversion_id_once")
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def full_webhook_url(self) -> str:
        """As it was set; raises UndecryptableSecret."""
        return opened_url(self.webhook_url, self.encrypted_webhook_url)


class Run(models.Model):
    """One execution of a workflow, reported by an executor."""

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="runs", db_index=False
    )
    public_id = models.CharField(max_length=PUBLIC_ID_MAX_CHARACTERS, editable=False)
    external_id = models.CharField(  # noqa: DJ001 - unique where it is given
        max_length=PUBLIC_ID_MAX_CHARACTERS, null=True, blank=True, help_text="The caller's own id."
    )
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="runs", db_index=False)
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    status = models.CharField(max_length=16, choices=RUN_STATUSES, default=RunStatus.QUEUED)
    progress = models.CharField(max_length=64, blank=True)
    executor_id = models.CharField(max_length=128, blank=True)
    webhook_url = models.CharField(max_length=URL_MAX_CHARACTERS, blank=True)
    encrypted_webhook_url = models.TextField(blank=True, default="", db_default="", editable=False)
    # What the dialect's caller asked for beyond the input, and which kind of run it calls this.
    kind = models.CharField(max_length=32, blank=True)
    request = OrderedJSONField(null=True, blank=True)
    bulk_id = models.UUIDField(null=True, blank=True)
    # A run started by another one: its dialect may tell nobody of it.
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children"
    )
    # The key that created it: one dialect signs with it.
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )
    encrypted_webhook_secret = models.TextField(blank=True, editable=False)
    input = OrderedJSONField(null=True, blank=True)
    output = OrderedJSONField(null=True, blank=True)
    error = OrderedJSONField(null=True, blank=True)
    artifacts = OrderedJSONField(default=list, blank=True)
    # Move -> fingerprint of the report that made it: a repeat is recognised by it.
    reports = models.JSONField(default=dict, editable=False)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            # Also serves runs/selectors.py run_get() and runs/rows.py hold().
            models.UniqueConstraint(fields=["organization", "public_id"], name="run_id_once"),
            models.UniqueConstraint(
                fields=["organization", "external_id"],
                name="run_external_id_once",
                condition=Q(external_id__isnull=False),
            ),
        ]
        indexes = [
            # runs/selectors.py runs(): the list, newest first.
            models.Index(F("organization"), F("id").desc(), name="run_listed"),
            # The same for one workflow, and deleting a workflow.
            models.Index(F("workflow"), F("id").desc(), name="run_of_workflow"),
            # Executions of one bulk trigger.
            models.Index(fields=["bulk_id"], name="run_of_bulk", condition=Q(bulk_id__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def full_webhook_url(self) -> str:
        """As its caller gave it; raises UndecryptableSecret."""
        return opened_url(self.webhook_url, self.encrypted_webhook_url)

    @property
    def has_target(self) -> bool:
        """Is its end told to a URL: its own, else its workflow's default?"""
        return bool(self.webhook_url or self.version.webhook_url)


class Step(models.Model):
    """One step of a run, in the order of their starts."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps", db_index=False)
    key = models.CharField(max_length=128)
    name = models.CharField(max_length=255, blank=True)
    index = models.PositiveIntegerField()
    status = models.CharField(max_length=16, choices=STEP_STATUSES)
    input = OrderedJSONField(null=True, blank=True)
    output = OrderedJSONField(null=True, blank=True)
    primary = OrderedJSONField(null=True, blank=True)
    metadata = OrderedJSONField(null=True, blank=True)
    error = OrderedJSONField(null=True, blank=True)
    artifacts = OrderedJSONField(default=list, blank=True)
    reports = models.JSONField(default=dict, editable=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="step_key_once"),
            # Also serves the list of a run's steps in order.
            models.UniqueConstraint(fields=["run", "index"], name="step_index_once"),
        ]

    def __str__(self) -> str:
        return self.key
