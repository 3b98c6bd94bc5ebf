"""Serializer fields with this API's rules for text."""

import uuid
from functools import reduce
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from subscriptions.masks import shown_url
from subscriptions.secrets import UndecryptableSecret


class StrictCharField(serializers.CharField):
    """Text only: a number or boolean is a mistake, not a spelling. NULs and lone surrogates are refused."""

    default_error_messages = {
        "invalid": "Not a string.",
        "bad_character": "NUL characters and lone surrogates are not allowed.",
    }

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if "\x00" in data or any("\ud800" <= character <= "\udfff" for character in data):
            self.fail("bad_character")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """true or false, not "yes" or 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictFloatField(serializers.FloatField):
    """A JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool | str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictChoiceField(serializers.ChoiceField):
    """One of some names. What was said instead is not repeated: it may be a secret in the wrong place."""

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices, **kwargs)
        self.error_messages["invalid_choice"] = f"One of {', '.join(map(str, self.choices))}."


class StrictIntegerField(serializers.IntegerField):
    """A JSON number without a fraction, not a text of digits."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictUUIDField(serializers.UUIDField):
    """A UUID as text; a number could be read as one as well."""

    def to_internal_value(self, data: Any) -> uuid.UUID:
        if not isinstance(data, str | uuid.UUID):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JSONObjectField(serializers.JSONField):
    """A JSON object."""

    default_error_messages = {"not_an_object": "Not a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        return data


class ShownUrlField(serializers.CharField):
    """Of a record: masked, also in rows from before that was done when they were written."""

    def to_representation(self, value: Any) -> str:
        return shown_url(super().to_representation(value))


class OwnersUrlField(serializers.CharField):
    """A URL as it was registered, for whoever the view says may read it; for others as it is shown.

    `source` names a property that opens it. The view says so by `full_urls` in the context.
    """

    def get_attribute(self, instance: Any) -> Any:
        try:
            return super().get_attribute(instance)
        except UndecryptableSecret:
            # Its key is missing: reading the rest must go on.
            *path, full = self.source_attrs
            return getattr(reduce(getattr, path, instance), full.removeprefix("full_"))

    def to_representation(self, value: Any) -> str:
        url = super().to_representation(value)
        return url if self.context.get("full_urls") else shown_url(url)
