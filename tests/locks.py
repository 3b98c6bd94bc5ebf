"""The locks of requirements/ as they are written: what is pinned, by which hashes, on which platforms."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parent.parent / "requirements"
_HASH = re.compile(r"--hash=(\S+)")


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """One requirement of a lock."""

    name: str
    version: str
    hashes: tuple[str, ...]
    marker: Marker | None

    @property
    def is_for_here(self) -> bool:
        """Does this Python on this platform need it?"""
        return self.marker is None or self.marker.evaluate()


def locked(name: str) -> list[Pinned]:
    """The requirements of `requirements/<name>.txt`; raises for anything else that stands there."""
    text = (REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", " ")
    return [_pinned(line) for line in text.splitlines() if line.strip()]


def wanted(name: str) -> set[str]:
    """Whose names `requirements/<name>.in` holds, with those of the files that it includes."""
    found = set()
    for line in (REQUIREMENTS / f"{name}.in").read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found |= wanted(text.removeprefix("-r ").strip().removesuffix(".in"))
        elif text:
            found.add(canonicalize_name(Requirement(text).name))
    return found


def _pinned(line: str) -> Pinned:
    requirement = Requirement(_HASH.sub("", line).strip())
    (pin,) = requirement.specifier
    assert pin.operator == "==", line
    return Pinned(
        name=canonicalize_name(requirement.name),
        version=pin.version,
        hashes=tuple(_HASH.findall(line)),
        marker=requirement.marker,
    )
