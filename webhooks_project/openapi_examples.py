"""The examples of the OpenAPI document: calls of the API with their answers, as a test made them."""

import json
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).with_name("openapi_examples.json")
JSON = "application/json"


def add_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook."""
    calls = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            call = calls.get(f"{method.upper()} {path}", {})
            if "request" in call:
                operation["requestBody"]["content"][JSON]["example"] = call["request"]
            if "response" in call:
                operation["responses"][call["status"]]["content"][JSON]["example"] = call["response"]
    return result
