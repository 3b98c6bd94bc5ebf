"""Configured outputs: a name and a path into the run's context. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


class UnknownVariable(Exception):
    """A configured output names something that the run does not have; the message is seed 000's."""

    def __init__(self, path: str, known: Sequence[str]) -> None:
        super().__init__(f"Variable '{path}' not found. Available variables to use:\n" + "\n".join(known))


def resolve(outputs: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each configured output, in their order. Raises UnknownVariable."""
    return {name: _follow(path, context) for name, path in outputs.items()}


def _follow(path: str, context: Mapping[str, Any]) -> Any:
    value: Any = context
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise UnknownVariable(path, known_variables(context))
    return value


def known_variables(context: Mapping[str, Any], prefix: str = "", depth: int = 3) -> list[str]:
    """Paths that exist, three levels deep: `input.prompt`, `steps.render.output`."""
    names: list[str] = []
    for key, value in context.items():
        if isinstance(value, Mapping) and value and depth > 1:
            names += known_variables(value, f"{prefix}{key}.", depth - 1)
        else:
            names.append(f"{prefix}{key}")
    return names
