"""Serializer fields with this API's rules for text."""

from typing import Any

from rest_framework import serializers


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


class JSONObjectField(serializers.JSONField):
    """A JSON object."""

    default_error_messages = {"not_an_object": "Not a JSON object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        return data
