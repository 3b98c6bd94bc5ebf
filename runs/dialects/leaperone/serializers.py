"""What LEAPERone's callers send, and what they are answered."""

from typing import Any

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from runs.api.fields import ImportedIdField
from subscriptions.api.fields import StrictCharField, StrictIntegerField
from subscriptions.api.target_fields import OptionalTargetURLField

# A model's name is its workflow's slug, so it has to be safe inside an address.
CALLBACK_FIELDS = ("callbackUrl", "webhook_url")
MODEL = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]})
class TextOrTextsField(serializers.Field[Any, Any, Any, Any]):
    """A text or a list of texts, kept as it came."""

    default_error_messages = {"invalid": "Not a string or a list of strings."}

    def to_internal_value(self, data: Any) -> str | list[str]:
        texts = data if isinstance(data, list) else [data]
        if not all(isinstance(text, str) for text in texts):
            self.fail("invalid")
        return data  # type: ignore[no-any-return]

    def to_representation(self, value: Any) -> Any:
        return value


class LeaperoneGenerationInput(serializers.Serializer[Any]):
    """`POST /v1/images/generations`. Further fields pass to the executor: the original ignores them too."""

    prompt = StrictCharField()
    model = StrictCharField(
        help_text="Also the slug of the workflow that runs it.",
        validators=[
            RegexValidator(
                MODEL,
                "1 to 128 letters, digits, '.', '_' or '-', the first a letter or digit.",
                code="bad_model",
            )
        ],
    )
    referenceImages = TextOrTextsField(required=False, allow_null=True, help_text="Addresses of images.")
    number = StrictIntegerField(min_value=1, max_value=4, default=1, help_text="How many images.")
    size = StrictCharField(max_length=64, required=False, allow_null=True)
    callbackUrl = OptionalTargetURLField()
    webhook_url = OptionalTargetURLField(
        help_text="The same as callbackUrl, under the name that it has elsewhere."
    )
    id = ImportedIdField(required=False)
    created_at = serializers.DateTimeField(required=False, help_text="Only for keys that import.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {attrs.get(name) for name in CALLBACK_FIELDS} - {None, ""}
        if len(given) > 1:
            raise serializers.ValidationError(
                {"callbackUrl": ["webhook_url is the same field and says something else."]},
                code="contradiction",
            )
        return attrs


class LeaperoneAccepted(serializers.Serializer[Any]):
    """The task's id; `status` is `pending`."""

    id = serializers.CharField()
    status = serializers.CharField()


class LeaperoneImage(serializers.Serializer[Any]):
    """A result; its URL is temporary."""

    id = serializers.CharField()
    url = serializers.CharField()


class LeaperoneTask(serializers.Serializer[Any]):
    """`status`: pending, processing, uploading, completed (then `images`) or failed (then `error`)."""

    id = serializers.CharField()
    status = serializers.CharField()
    images = LeaperoneImage(many=True, required=False)
    error = serializers.CharField(required=False)


class LeaperoneErrorDetail(serializers.Serializer[Any]):
    """`message` for people, `type` by the answer's status, `code` stable and for programs."""

    message = serializers.CharField()
    type = serializers.CharField()
    code = serializers.CharField()


class LeaperoneError(serializers.Serializer[Any]):
    """Every error has this envelope."""

    error = LeaperoneErrorDetail()
