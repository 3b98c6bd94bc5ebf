"""The register of all columns that hold what was encrypted: for exchanging keys, and for the doctor.

Each app adds its own when it is ready. A column is one token, or JSON with tokens under names that
begin with `encrypted_`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model, Q

ENCRYPTED_PREFIX = "encrypted_"


@dataclass(frozen=True)
class EncryptedColumn:
    """Where tokens are. `in_use` finds the rows whose token somebody may still need."""

    model: type[Model]
    column: str
    in_use: Callable[[], Q] = field(default=Q)

    @property
    def filled(self) -> Q:
        """The rows that have something there."""
        is_json = self.model._meta.get_field(self.column).get_internal_type() == "JSONField"
        return Q(**{f"{self.column}__isnull": False}) if is_json else ~Q(**{self.column: ""})

    def __str__(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"


_columns: dict[str, EncryptedColumn] = {}


def register(*columns: EncryptedColumn) -> None:
    _columns.update({str(column): column for column in columns})


def columns() -> list[EncryptedColumn]:
    return list(_columns.values())


def tokens_of(value: Any) -> list[str]:
    """The tokens in the value of such a column."""
    if isinstance(value, str):
        return [value] if value else []
    return [token for name, token in value.items() if name.startswith(ENCRYPTED_PREFIX) and token]


def with_tokens(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its tokens changed."""
    if isinstance(value, str):
        return change(value) if value else value
    return {
        name: change(part) if name.startswith(ENCRYPTED_PREFIX) and part else part
        for name, part in value.items()
    }
