"""Shapes of the subscription API: seed 001's fields, then optional additions."""

from datetime import datetime
from typing import Any, ClassVar

from django.db.models import prefetch_related_objects
from django.utils.text import slugify
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from subscriptions.api.fields import (
    OwnersUrlField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictFloatField,
)
from subscriptions.api.target_fields import (
    EventTypeField,
    HeadersField,
    RateLimitField,
    RetryScheduleField,
    SubscriptionSchemesField,
    TargetURLField,
    TimeoutField,
)
from subscriptions.event_types import (
    CARRY_EVERY_EVENT,
    RUN_ENDED,
    DisabledReason,
    PayloadFormat,
    RetryPolicyName,
)
from subscriptions.models import ApiKey, Organization, Scope, Subscription
from subscriptions.rules import SECRET_MAX_CHARACTERS
from subscriptions.selectors import has_secret
from subscriptions.signing_secrets import previous_expires_at, public_keys_of

UNKNOWN_FIELD = "Unknown field."


def names(of: Any) -> list[str]:
    return [name.value for name in of]


class RefusesUnknownFields(serializers.Serializer[Any]):
    """A misspelt field is an error, not something to ignore."""

    openapi_extra: ClassVar[dict[str, Any]] = {"additionalProperties": False}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, dict):
            unknown = sorted(str(name)[:64] for name in set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({unknown[0]: [UNKNOWN_FIELD]}, code="unknown_field")
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class SubscriptionInput(RefusesUnknownFields):
    """What may be set when creating a subscription, and, each on its own, when updating it."""

    openapi_extra: ClassVar[dict[str, Any]] = {
        **RefusesUnknownFields.openapi_extra,
        "anyOf": [
            {"properties": {"payload_format": {"enum": [str(name) for name in CARRY_EVERY_EVENT]}}},
            {"properties": {"events": {"items": {"enum": [str(name) for name in RUN_ENDED]}}}},
        ],
    }

    name = StrictCharField(max_length=255)
    url = TargetURLField()
    events = serializers.ListField(child=EventTypeField(), allow_empty=False, min_length=1, max_length=100)
    secret = StrictCharField(
        max_length=SECRET_MAX_CHARACTERS,
        required=False,
        allow_null=True,
        write_only=True,
        trim_whitespace=False,
    )
    headers = HeadersField(required=False, allow_null=True)
    is_active = StrictBooleanField(required=False)
    payload_format = StrictChoiceField(choices=names(PayloadFormat), required=False)
    signature_schemes = SubscriptionSchemesField()
    retry_policy = StrictChoiceField(choices=names(RetryPolicyName), required=False)
    retry_schedule = RetryScheduleField()
    timeout_seconds = TimeoutField(required=False, allow_null=True)
    rate_limit_per_second = RateLimitField(required=False, allow_null=True)
    workflow_ids = serializers.ListField(
        child=StrictCharField(max_length=128), required=False, max_length=100
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("events", "workflow_ids"):
            if name in attrs:
                attrs[name] = list(dict.fromkeys(attrs[name]))
        return attrs


class SubscriptionOutput(serializers.ModelSerializer[Subscription]):
    """A subscription as it is read: header names only, and whether there is a secret."""

    url = OwnersUrlField(source="full_url")
    headers = serializers.ListField(source="header_names", child=serializers.CharField())
    has_secret = serializers.SerializerMethodField()
    is_active = serializers.SerializerMethodField(help_text="False also while the service has it disabled.")
    public_keys = serializers.SerializerMethodField(help_text="Of the scheme standard_webhooks_ed25519.")
    previous_secret_expires_at = serializers.SerializerMethodField(
        help_text="Until when a secret that was replaced goes on signing."
    )
    disabled_reason = serializers.ChoiceField(choices=names(DisabledReason), allow_blank=True)

    class Meta:
        model = Subscription
        fields = (
            "id name url events is_active created_at updated_at headers has_secret payload_format "
            "signature_schemes retry_policy retry_schedule timeout_seconds rate_limit_per_second "
            "workflow_ids disabled_at disabled_reason failing_since public_keys previous_secret_expires_at"
        ).split()

    def to_representation(self, instance: Subscription) -> Any:
        # Three fields look at them.
        prefetch_related_objects([instance], "signing_secrets")
        return super().to_representation(instance)

    def get_has_secret(self, subscription: Subscription) -> bool:
        return has_secret(subscription)

    def get_public_keys(self, subscription: Subscription) -> list[str]:
        return public_keys_of(subscription.signing_secrets.all())

    def get_previous_secret_expires_at(self, subscription: Subscription) -> datetime | None:
        return previous_expires_at(subscription.signing_secrets.all())

    def get_is_active(self, subscription: Subscription) -> bool:
        return subscription.is_active and subscription.disabled_at is None


class SubscriptionCreated(SubscriptionOutput):
    """The same with the Standard Webhooks secret, which is shown only now."""

    signing_secret = serializers.CharField()

    class Meta(SubscriptionOutput.Meta):
        fields = [*SubscriptionOutput.Meta.fields, "signing_secret"]


class RotateInput(RefusesUnknownFields):
    """How long the old secret goes on signing beside the new one."""

    overlap_seconds = StrictFloatField(min_value=0, max_value=7 * 24 * 3600, required=False)


class RotateOutput(serializers.Serializer[Any]):
    """The new Standard Webhooks secret, shown only now; until when what it replaces goes on signing."""

    signing_secret = serializers.CharField()
    previous_expires_at = serializers.DateTimeField(allow_null=True)
    public_keys = serializers.ListField(child=serializers.CharField())


class MyOrganization(serializers.Serializer[Any]):
    """An organization that the caller's key acts for."""

    organization_id = serializers.CharField()
    organization_name = serializers.CharField()
    organization_slug = serializers.CharField()
    role = serializers.CharField()
    joined_at = serializers.DateTimeField()
    is_active = serializers.BooleanField()


# The answer of a list is this one object, not an array of them.
@extend_schema_serializer(many=False)
class MyOrganizations(serializers.Serializer[Any]):
    """The organizations of a key, and the one that this request is for."""

    active_organization_id = serializers.CharField()
    organizations = MyOrganization(many=True)


def my_organization(organization: Organization, key: ApiKey | None, *, active: bool) -> dict[str, Any]:
    """A key has no role but its scopes; callers of the original find `member`."""
    return {
        "organization_id": organization.public_id,
        "organization_name": organization.name,
        "organization_slug": slugify(organization.name) or organization.public_id,
        "role": "member",
        "joined_at": organization.created_at if key is None else key.created_at,
        "is_active": active,
    }


class OrganizationInput(RefusesUnknownFields):
    """A customer of the platform."""

    name = StrictCharField(max_length=255)
    contact_email = serializers.EmailField(max_length=254, required=False, allow_blank=True)


class OrganizationOutput(serializers.ModelSerializer[Organization]):
    """An organization."""

    id = serializers.CharField(source="public_id")

    class Meta:
        model = Organization
        fields = ["id", "name", "contact_email", "created_at"]


class OrganizationCreated(OrganizationOutput):
    """The same with the secret that signs its callbacks, shown only now."""

    signing_secret = serializers.CharField()

    class Meta(OrganizationOutput.Meta):
        fields = [*OrganizationOutput.Meta.fields, "signing_secret"]


class ApiKeyInput(RefusesUnknownFields):
    """A new key of an organization."""

    name = StrictCharField(max_length=255, required=False, allow_blank=True)
    scopes = serializers.ListField(
        child=StrictChoiceField(choices=Scope.values), required=False, allow_empty=False, min_length=1
    )
    signs = StrictBooleanField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class ApiKeyOutput(serializers.ModelSerializer[ApiKey]):
    """A key without its secret part."""

    class Meta:
        model = ApiKey
        fields = "id name prefix scopes signs created_at last_used_at expires_at revoked_at".split()


class ApiKeyCreated(ApiKeyOutput):
    """The same with the key itself, shown only now."""

    key = serializers.CharField()

    class Meta(ApiKeyOutput.Meta):
        fields = [*ApiKeyOutput.Meta.fields, "key"]
