"""What every operation of the API has in common, added to the generated OpenAPI document."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from rest_framework.serializers import ModelSerializer

ERROR = {
    "type": "object",
    "description": "Every error has this shape; `errors` lists all wrong fields where there are several.",
    "properties": {
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "field": {"type": ["string", "null"]},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
    },
    "required": ["detail", "code", "field"],
}
ANSWERS = {
    "400": "The body is not valid JSON.",
    "401": "No valid API key.",
    "403": "The key lacks the scope.",
    "404": "There is no such thing in this organization.",
    "409": "This contradicts what is already there.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "A value is not acceptable.",
    "429": "Too many requests; Retry-After says when to try again.",
    "503": "The database is away, or the call met another one; Retry-After says when to try again.",
}
FOR_BODIES = ("400", "413", "415", "422", "409")
# Systems whose callers know no 422.
SAYS_400_INSTEAD = ("/leaperone/", "/eachlabs/")
ORGANIZATION = {
    "name": "X-Org-Id",
    "in": "header",
    "description": "One of the key's organizations; without it the key's default one.",
    "schema": {"type": "string"},
}
RATE_LIMIT_HEADERS = {
    "X-RateLimit-Limit": "Requests that may be made at once.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When all of them are there again, in Unix seconds.",
}
EXTRA = "x-extra"
RETRY_AFTER = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}


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
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


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
    """drf-spectacular's postprocessing hook: the headers and the errors of each operation."""
    schemas = result["components"]["schemas"]
    schemas.update(without_doubled_null(schemas))
    for schema in schemas.values():
        schema.update(schema.pop(EXTRA, {}))
    schemas["Error"] = ERROR
    result["components"]["headers"] = {
        name: {"description": description, "schema": {"type": "integer"}}
        for name, description in RATE_LIMIT_HEADERS.items()
    }
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            operation.setdefault("parameters", []).append(ORGANIZATION)
            for status, description in ANSWERS.items():
                if status in FOR_BODIES and method in ("get", "delete") and status != "422":
                    continue
                if status == "422" and path.startswith(SAYS_400_INSTEAD):
                    continue
                content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
                answer = {"description": description, "content": content}
                operation["responses"].setdefault(status, answer)
            _describe_headers(operation["responses"])
            _demand_body(operation, schemas)
    return result


def _demand_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A body that has to say one thing or another cannot be left out."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = schemas.get(content["schema"].get("$ref", "").rsplit("/", 1)[-1], {})
        choices = schema.get("anyOf", [])
        if choices and all(choice.get("required") for choice in choices):
            operation["requestBody"]["required"] = True


def _describe_headers(responses: dict[str, Any]) -> None:
    """Whoever is known is told of the limits; 401 is for those who are not."""
    limits = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}
    for status, response in responses.items():
        headers: dict[str, Any] = {} if status == "401" else dict(limits)
        if status in ("429", "503"):
            headers["Retry-After"] = RETRY_AFTER
        if headers:
            response["headers"] = response.get("headers", {}) | headers
