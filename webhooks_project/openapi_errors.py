"""The errors of the OpenAPI document: what each status means, and real answers with it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from runs.dialects.eachlabs.base import envelope as eachlabs_envelope
from runs.dialects.leaperone.errors import envelope as leaperone_envelope
from webhooks_project.api_errors import body

ERROR = {
    "type": "object",
    "description": "Every error has this shape; `errors` lists all wrong fields where there are several.",
    "properties": {
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs; docs/api.md lists them."},
        "field": {"type": ["string", "null"]},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
    },
    "required": ["detail", "code", "field"],
}


class Status(NamedTuple):
    """What it means, and some of the answers that have it."""

    description: str
    examples: tuple[dict[str, Any], ...]


_NAME = body("name: This field is required.", "required", "name")
_URL = body("url: This field is required.", "required", "url")
_EVENTS = body("events: This field is required.", "required", "events")
STATUSES: Mapping[str, Status] = {
    "400": Status(
        "The body is not valid JSON.",
        (body("The body is not valid JSON: Expecting value: line 1 column 10 (char 9)", "malformed_json"),),
    ),
    "401": Status(
        "No valid API key.",
        (
            body("Authentication credentials were not provided.", "not_authenticated"),
            body("The API key is unknown, expired or revoked.", "bad_api_key"),
        ),
    ),
    "403": Status(
        "The key lacks the scope.", (body("The API key lacks the scope runs:write.", "missing_scope"),)
    ),
    "404": Status(
        "There is no such thing in this organization.", (body("There is no such thing.", "not_found"),)
    ),
    "409": Status(
        "This contradicts what is already there.",
        (body("the run is completed: it cannot fail", "impossible_move"),),
    ),
    "413": Status(
        "The body is too large.", (body("The body may have at most 6291456 bytes.", "body_too_large"),)
    ),
    "415": Status(
        "The body is not JSON.",
        (body('Unsupported media type "text/plain" in request.', "unsupported_media_type"),),
    ),
    "422": Status(
        "A value is not acceptable.",
        (
            _NAME | {"errors": [_NAME, _URL, _EVENTS]},
            body("colour: Unknown field.", "unknown_field", "colour"),
        ),
    ),
    "429": Status(
        "Too many requests; Retry-After says when to try again.",
        (
            body("Too many requests; Retry-After says when to try again.", "rate_limit_exceeded"),
            body(
                "Too many requests wait for an answer of a receiver; try again in a moment.",
                "too_many_waiting",
            ),
        ),
    ),
    "503": Status(
        "The database is away, or the call met another one; Retry-After says when to try again.",
        (
            body("The database is away; try again in a moment.", "database_away"),
            body("This met another call; try again.", "conflict_try_again"),
        ),
    ),
}
FOR_BODIES = ("400", "413", "415", "422", "409")
# Systems whose callers know no 422.
SAYS_400_INSTEAD = ("/leaperone/", "/eachlabs/")
# Schemas of errors, each with how it is made from the common shape.
ENVELOPES: Mapping[str, Callable[[int, Mapping[str, Any]], Mapping[str, Any]]] = {
    "Error": lambda status, error: error,
    "EachlabsError": eachlabs_envelope,
    "LeaperoneError": leaperone_envelope,
}
RATE_LIMIT_HEADERS = {
    "X-RateLimit-Limit": "Requests that may be made at once.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When all of them are there again, in Unix seconds.",
}
RETRY_AFTER = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}


def add_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: the errors that each operation may answer with."""
    components = result["components"]
    components["schemas"]["Error"] = ERROR
    components["headers"] = {
        name: {"description": description, "schema": {"type": "integer"}}
        for name, description in RATE_LIMIT_HEADERS.items()
    }
    used: dict[str, tuple[str, str]] = {}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            for status in STATUSES:
                if is_answered(path, method, status) or status in responses:
                    schema = _schema_of(responses.get(status))
                    used[f"{schema}{status}"] = schema, status
                    responses[status] = {"$ref": f"#/components/responses/{schema}{status}"}
            for status, response in responses.items():
                if "$ref" not in response:
                    response["headers"] = response.get("headers", {}) | headers_of(status)
    components["responses"] = {name: _response(*made_of) for name, made_of in sorted(used.items())}
    return result


def is_answered(path: str, method: str, status: str) -> bool:
    if status in FOR_BODIES and method in ("get", "delete") and status != "422":
        return False
    return not (status == "422" and path.startswith(SAYS_400_INSTEAD))


def headers_of(status: str) -> dict[str, Any]:
    """Whoever is known is told of the limits; 401 is for those who are not."""
    limits = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_LIMIT_HEADERS}
    headers: dict[str, Any] = {} if status == "401" else limits
    return headers | ({"Retry-After": RETRY_AFTER} if status in ("429", "503") else {})


def _schema_of(response: Mapping[str, Any] | None) -> str:
    """What the view says of it, else the common one."""
    if response is None:
        return "Error"
    schema: str = response["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    return schema


def _response(schema: str, status: str) -> dict[str, Any]:
    description, examples = STATUSES[status]
    if status == "400" and schema != "Error":
        # Theirs is the 422 as well.
        description, examples = "A value is not acceptable.", (*examples, *STATUSES["422"].examples)
    return {
        "description": description,
        "headers": headers_of(status),
        "content": {
            "application/json": {
                "schema": {"$ref": f"#/components/schemas/{schema}"},
                "examples": {
                    example["code"]: {"value": ENVELOPES[schema](int(status), example)}
                    for example in examples
                },
            }
        },
    }
