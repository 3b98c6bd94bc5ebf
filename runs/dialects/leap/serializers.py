"""What Leap's callers send."""

from rest_framework import serializers

from subscriptions.api.fields import JSONObjectField, StrictCharField
from subscriptions.api.serializers import RefusesUnknownFields


class LeapRunInput(RefusesUnknownFields):
    """`POST /v1/runs`."""

    workflow_id = StrictCharField(max_length=128)
    webhook_url = StrictCharField(max_length=2048, required=False, allow_null=True, allow_blank=True)
    input = JSONObjectField(required=False, allow_null=True)
    id = StrictCharField(max_length=128, required=False)
    created_at = serializers.DateTimeField(required=False)
