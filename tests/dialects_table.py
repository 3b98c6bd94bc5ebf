"""`make dialects`: what the five systems' users rely on, and the tests that prove each cell.

Fails if a cell has neither a test nor a reason, or names a test that there is not.
"""

import ast
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DIALECTS = ("elan", "leap", "leaperone", "skyvern", "eachlabs")
REQUIREMENTS = [f"R{number}" for number in range(1, 31)]
WIDTH = 120


def known_tests() -> set[str]:
    """All tests as `file::name`, the prefixes `test_` of the functions left out."""
    return {
        f"{path.stem}::{node.name.removeprefix('test_')}"
        for path in FOLDER.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def faults(table: Mapping[str, Any], known: set[str]) -> list[str]:
    """What is missing in the table."""
    found = [f"{name} is not in the table" for name in REQUIREMENTS if name not in table]
    for name, row in table.items():
        for dialect in DIALECTS:
            cell = row.get(dialect, row.get("all"))
            if not cell:
                found.append(f"{name} {dialect}: neither a test nor a reason")
            elif isinstance(cell, list):
                found += [f"{name} {dialect}: there is no {test}" for test in cell if test not in known]
    return found


def counts(table: Mapping[str, Any]) -> Iterator[str]:
    """How many tests each cell has; a dash where it has a reason instead."""
    yield f"{'':<5}{'requirement':<66}" + "".join(f"{dialect:>11}" for dialect in DIALECTS)
    for name, row in table.items():
        cells = [row.get(dialect, row.get("all", "")) for dialect in DIALECTS]
        shown = [
            f"{len(cell)} test{'s'[: len(cell) != 1]}" if isinstance(cell, list) else "—" for cell in cells
        ]
        yield f"{name:<5}{row['title']:<66}" + "".join(f"{text:>11}" for text in shown)


def proofs(table: Mapping[str, Any]) -> Iterator[str]:
    """The tests of each cell, or the reason why it has none; dialects that share a cell share its lines."""
    for name, row in table.items():
        yield f"{name} {row['title']}"
        shared: dict[str, list[str]] = {}
        for dialect in DIALECTS:
            cell = row.get(dialect, row.get("all", ""))
            text = "\n".join(cell) if isinstance(cell, list) else f"— {cell}"
            shared.setdefault(text, []).append(dialect)
        for text, dialects in shared.items():
            who = "all" if len(dialects) == len(DIALECTS) else " ".join(dialects)
            yield f"     {who}:"
            for line in text.splitlines():
                yield textwrap.fill(line, WIDTH, initial_indent=" " * 7, subsequent_indent=" " * 9)


def main() -> int:
    table = tomllib.loads((FOLDER / "requirements.toml").read_text())
    print("\n".join([*counts(table), "", *proofs(table)]))
    found = faults(table, known_tests())
    print("\n".join(f"MISSING: {fault}" for fault in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
