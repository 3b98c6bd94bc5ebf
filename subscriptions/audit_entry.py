"""One change that somebody made: who, what, to which object, when, and how it was before and after."""

from enum import StrEnum

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from subscriptions.ids import uuid7

NAME_MAX_CHARACTERS = 255
OBJECT_ID_MAX_CHARACTERS = 128


class ActorKind(StrEnum):
    """As what somebody acts."""

    USER = "user"
    API_KEY = "api_key"
    PORTAL = "portal"
    COMMAND = "command"
    SERVICE = "service"


ACTOR_KINDS = [(kind.value, kind.value) for kind in ActorKind]


class AuditEntry(models.Model):
    """Written once by `subscriptions/audit.py`; a trigger of the database refuses to change or delete it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    actor_kind = models.CharField(max_length=16, choices=ACTOR_KINDS)
    actor = models.CharField(
        max_length=NAME_MAX_CHARACTERS, help_text="The user's name, the beginning of the key, or the command."
    )
    remote_address = models.GenericIPAddressField(null=True, blank=True, help_text="Of the client.")
    action = models.CharField(max_length=64, help_text="Stable, such as subscription.updated.")
    object_id = models.CharField(max_length=OBJECT_ID_MAX_CHARACTERS)
    # It outlives what it is about; None: a matter of all organizations, or of the service itself.
    organization = models.ForeignKey(
        "subscriptions.Organization",
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="What changed, as it was.")
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder, help_text="The same since then.")

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            # subscriptions/admin/audit.py: its filters and its search, newest first.
            models.Index(F("organization"), F("id").desc(), name="auditentry_of_organization"),
            models.Index(F("object_id"), F("id").desc(), name="auditentry_of_object"),
            models.Index(F("actor"), F("id").desc(), name="auditentry_by_actor"),
            models.Index(F("action"), F("id").desc(), name="auditentry_of_action"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}"
