"""Configured outputs: a name and a path into the run's context. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class UnknownVariable(Exception):
    """A configured output names something that the run does not have; the message is seed 000's."""

    def __init__(self, path: str, known: Sequence[str]) -> None:
        self.path = path
        super().__init__(f"Variable '{path}' not found. Available variables to use:\n" + "\n".join(known))


def resolve(outputs: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each configured output, in their order. Raises UnknownVariable."""
    return {name: _follow(path, context) for name, path in outputs.items()}


def _follow(path: str, context: Mapping[str, Any]) -> Any:
    for value in _readings(context, path.split(".")):
        return value
    raise UnknownVariable(path, known_variables(context))


def _readings(value: Any, parts: Sequence[str]) -> Iterator[Any]:
    """All values that the path may mean: keys of steps and of outputs may contain dots themselves.

    At each level the longest key is tried first; a shorter one counts only where that leads nowhere.
    """
    if not parts:
        yield value
    elif isinstance(value, Mapping):
        for taken in range(len(parts), 0, -1):
            key = ".".join(parts[:taken])
            if key in value:
                yield from _readings(value[key], parts[taken:])
    elif isinstance(value, list):
        index = parts[0]
        if index.isascii() and index.isdigit() and int(index) < len(value):
            yield from _readings(value[int(index)], parts[1:])


def known_variables(context: Mapping[str, Any], prefix: str = "", depth: int = 3) -> list[str]:
    """Paths that exist, three levels deep: `input.prompt`, `steps.render.output`."""
    names: list[str] = []
    for key, value in context.items():
        if isinstance(value, Mapping) and value and depth > 1:
            names += known_variables(value, f"{prefix}{key}.", depth - 1)
        else:
            names.append(f"{prefix}{key}")
    return names
