"""`make dialects`: the table is complete, names tests that there are, and shows them."""

import tomllib
from typing import Any

import pytest

from tests import dialects_table
from tests.dialects_table import DIALECTS, FOLDER, REQUIREMENTS, counts, faults, known_tests, proofs

TABLE: dict[str, Any] = tomllib.loads((FOLDER / "requirements.toml").read_text())
CELLS = [(name, dialect) for name in REQUIREMENTS for dialect in DIALECTS]


def test_each_cell_has_tests_that_there_are_or_a_reason() -> None:
    assert faults(TABLE, known_tests()) == []


def shown_for(lines: list[str], name: str, dialect: str) -> list[str]:
    """What stands below the requirement and a line that names the dialect, or all."""
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{name} "))
    shown: list[str] = []
    taken = False
    for line in lines[begin + 1 :]:
        if not line.startswith(" "):
            break
        if line.endswith(":") and line[5] != " ":
            taken = bool({dialect, "all"} & set(line.strip(" :").split()))
        elif taken:
            shown.append(line.strip())
    return shown


@pytest.mark.parametrize(("name", "dialect"), CELLS)
def test_the_tests_of_each_cell_are_shown(name: str, dialect: str) -> None:
    lines = "\n".join(proofs(TABLE)).splitlines()
    cell = TABLE[name].get(dialect, TABLE[name].get("all"))

    found = shown_for(lines, name, dialect)

    assert (found if isinstance(cell, list) else " ".join(found)) == (
        cell if isinstance(cell, list) else f"— {cell}"
    )


def test_the_counts_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert dialects_table.main() == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed[: len(REQUIREMENTS) + 1] == list(counts(TABLE))


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"all": ["a::gone"]}, "R1 elan: there is no a::gone"),
        ({"all": ["a::b"], "leap": []}, "R1 leap: neither a test nor a reason"),
        ({"elan": "a reason"}, "R1 leap: neither a test nor a reason"),
    ],
)
def test_what_is_missing_is_a_fault(row: dict[str, Any], fault: str) -> None:
    table = {name: {"title": "x", "all": "a reason"} for name in REQUIREMENTS} | {"R1": {"title": "x"} | row}

    assert fault in faults(table, {"a::b"})


def test_a_requirement_that_is_not_in_the_table_is_a_fault() -> None:
    assert faults({}, set()) == [f"{name} is not in the table" for name in REQUIREMENTS]
