"""A task's message, prepared once: Celery takes 300 µs to make one, filling one in takes 10.

Celery makes the first with placeholders for what differs; the text of all others is that with the
placeholders replaced. Whatever Celery and kombu put into a message stays theirs.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

PLACEHOLDER_TASK_ID = "00000000-0000-4000-8000-00000000task"
PLACEHOLDER_DELIVERY = "00000000-0000-4000-8000-000delivery"
PLACEHOLDER_ATTEMPT = 987654321
# What the delivery task is given.
PLACEHOLDER_ARGS = (PLACEHOLDER_DELIVERY, PLACEHOLDER_ATTEMPT)
PLACEHOLDER_BODY = "00000000-body"
PLACEHOLDER_TAG = "00000000-tag"


class PreparedMessage:
    """The form of a message to one queue."""

    def __init__(self, message: dict[str, Any], placeholders: Sequence[object]) -> None:
        """`message` as kombu would write it, made with these placeholders for the task's arguments."""
        self._placeholders = [str(placeholder) for placeholder in placeholders]
        self._body = base64.b64decode(message["body"]).decode()
        properties = {**message["properties"], "delivery_tag": PLACEHOLDER_TAG}
        self._form = json.dumps({**message, "body": PLACEHOLDER_BODY, "properties": properties})

    def text(self, *arguments: object) -> str:
        """The message with these arguments, and with ids of its own."""
        body, form = self._body, self._form
        for placeholder, argument in zip(self._placeholders, map(str, arguments), strict=True):
            body, form = body.replace(placeholder, argument), form.replace(placeholder, argument)
        return (
            form.replace(PLACEHOLDER_BODY, base64.b64encode(body.encode()).decode())
            .replace(PLACEHOLDER_TASK_ID, str(uuid4()))
            .replace(PLACEHOLDER_TAG, str(uuid4()))
        )
