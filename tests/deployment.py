"""docker-compose.yml and the Dockerfile as a container engine reads them, for machines that have none."""

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from local.files import CHECKOUT

EXAMPLE = CHECKOUT / "deploy" / "production.env.example"
# ${NAME}, ${NAME:-default}, ${NAME:?why}, and $$ for a dollar.
_REFERENCE = re.compile(r"\$(?:(\$)|\{(\w+)(?:(:[-?])([^}]*))?\})")

Value = Any


class Missing(Exception):
    """A variable that the file demands is not set, or empty."""


def example() -> dict[str, str]:
    """What deploy/production.env.example sets."""
    lines = (line.partition("=") for line in EXAMPLE.read_text().splitlines() if line[:1].isalpha())
    return {name: value for name, _, value in lines}


def compose(variables: Mapping[str, str]) -> dict[str, Value]:
    """docker-compose.yml with the variables in their places."""
    whole: dict[str, Value] = _filled(
        yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text()), variables
    )
    return whole


def demanded() -> set[str]:
    """The variables without which the file is refused."""
    return set(re.findall(r"\$\{(\w+):\?", (CHECKOUT / "docker-compose.yml").read_text()))


def named() -> set[str]:
    """All variables that the file names."""
    return {
        found[1] for found in _REFERENCE.findall((CHECKOUT / "docker-compose.yml").read_text()) if found[1]
    }


def _filled(value: Value, variables: Mapping[str, str]) -> Value:
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def fill(reference: re.Match[str]) -> str:
        dollar, name, operator, rest = reference.groups()
        if dollar:
            return "$"
        found = variables.get(name) or (rest if operator == ":-" else "")
        if not found and operator == ":?":
            raise Missing(name)
        return found

    return _REFERENCE.sub(fill, value)


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, with what follows each."""
    text = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, " ".join(rest.split())) for word, rest in lines]


def copied() -> list[tuple[str, str]]:
    """What comes from the checkout into the image: source and target."""
    copies = [rest.split() for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    return [(source, words[-1]) for words in copies for source in words[:-1]]


def image_environment() -> dict[str, str]:
    """What the image sets beside the way to programs."""
    last = [rest for word, rest in instructions() if word == "ENV"][-1]
    variables = dict(word.split("=", 1) for word in shlex.split(last))
    del variables["PATH"]
    return variables


def arguments(said: str | list[str] | None, instruction: str) -> list[str]:
    """A command of the compose file; where it has none, the image's."""
    if said is None:
        last = [rest for word, rest in instructions() if word == instruction][-1]
        said = ["CMD", *json.loads(last[last.index("[") :])]
    words = shlex.split(said) if isinstance(said, str) else list(said)
    if words[0] == "CMD-SHELL":
        return ["sh", "-c", words[1]]
    return words[1:] if words[0] == "CMD" else words


def build(folder: Path) -> None:
    """Put the files into `folder` that the image has below /app, and no others."""
    for source, target in copied():
        if not target.startswith("requirements"):
            here = CHECKOUT / source
            there = folder / (here.name if target == "./" else target)
            if here.is_dir():
                shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(here, there)


def moved(text: str, names: Mapping[str, str]) -> str:
    """The text with what stands on this machine for names of the containers' world; longer names first."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: names[found[0]], text)
