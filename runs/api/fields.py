"""Serializer fields of runs and workflows."""

from typing import Any

from drf_spectacular.utils import extend_schema_field

from runs.models import PUBLIC_ID, PUBLIC_ID_MAX_CHARACTERS
from subscriptions.api.fields import StrictCharField


@extend_schema_field(
    {"type": "string", "pattern": f"^{PUBLIC_ID}$", "description": "Only for keys that import."}
)
class ImportedIdField(StrictCharField):
    """An id that a caller brings along; `runs/services.py` judges it, by the dialect's form if need be."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=PUBLIC_ID_MAX_CHARACTERS, **kwargs)
