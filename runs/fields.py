"""A column for JSON as it was said: key order and numbers survive, which jsonb does not promise."""

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    AnyTextField = models.TextField[Any, Any]
else:
    AnyTextField = models.TextField


class OrderedJSONField(AnyTextField):
    """JSON kept as ASCII text, so that NULs and lone surrogates, escaped, pass through PostgreSQL.

    None is the JSON null, stored as SQL NULL.
    """

    # What the type checker's Django plugin takes for the types of the attribute.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        return None if value is None else json.loads(value)

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"), allow_nan=False)

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        return json.dumps(self.value_from_object(obj))
