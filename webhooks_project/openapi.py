"""What every operation of the API has in common, added to the generated OpenAPI document."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from rest_framework.serializers import ModelSerializer

ORGANIZATION = {
    "name": "X-Org-Id",
    "in": "header",
    "description": "One of the key's organizations; without it the key's default one.",
    "schema": {"type": "string"},
}
EXTRA = "x-extra"


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """API keys, in either header."""

    target_class = "subscriptions.api.authentication.ApiKeyAuthentication"
    name = ["bearer", "apiKey"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Either header will do; one requirement that names both would demand both."""
        return [{name: []} for name in self.name]


class AdministratorScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session of a logged-in administrator."""

    target_class = "subscriptions.api.authentication.AdministratorAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "Log in at /admin/ as a superuser; there is nothing to fill in here.",
        }


class SerializerSchema(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """What a serializer says of its body beyond its fields: `openapi_extra`, merged into its schema.

    Not yet here: the hook before ours takes every `enum` for that of a field.
    """

    target_class = "rest_framework.serializers.Serializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        if direction == "request":
            schema[EXTRA] = getattr(self.target, "openapi_extra", {})
        elif isinstance(self.target, ModelSerializer):
            # A column with a default may be left out on the way in; on the way out all of them are there.
            schema["required"] = sorted(schema["properties"])
        return schema


def without_doubled_null(schema: Any) -> Any:
    """`oneOf: [{}, null]` refuses null, for both match: what may be anything needs no word about null."""
    if isinstance(schema, list):
        return [without_doubled_null(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: without_doubled_null(value) for name, value in schema.items()}
    if found.get("oneOf") == [{}, {"type": "null"}]:
        del found["oneOf"]
    return found


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: what the generator leaves open."""
    schemas = result["components"]["schemas"]
    schemas.update(without_doubled_null(schemas))
    for schema in schemas.values():
        schema.update(schema.pop(EXTRA, {}))
    for operations in result["paths"].values():
        for operation in operations.values():
            operation.setdefault("parameters", []).append(ORGANIZATION)
            _demand_body(operation, schemas)
    return result


def _demand_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A body that has to say one thing or another cannot be left out."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = schemas.get(content["schema"].get("$ref", "").rsplit("/", 1)[-1], {})
        choices = schema.get("anyOf", [])
        if choices and all(choice.get("required") for choice in choices):
            operation["requestBody"]["required"] = True
