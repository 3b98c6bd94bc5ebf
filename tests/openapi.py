"""The OpenAPI document as tests read it, stricter than it is: nothing may be there that it does not name."""

import json
from collections.abc import Iterator
from typing import Any

from django.test import Client
from jsonschema import Draft202012Validator

from tests.factories import Json


def served() -> Json:
    document: Json = json.loads(Client().get("/openapi.json").content)
    return document


def closed(value: Any) -> Any:
    """Objects whose fields are named have no others."""
    if isinstance(value, list):
        return [closed(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {name: closed(child) for name, child in value.items()}
    if "object" in found.get("type", ()) and "properties" in found:
        found.setdefault("additionalProperties", False)
    return found


def problems(document: Json, schema: Json, value: Any) -> list[str]:
    """What the schema, in this document, has against the value."""
    whole = closed(schema) | {"components": {"schemas": closed(document["components"]["schemas"])}}
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation
