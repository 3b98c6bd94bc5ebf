"""SECURITY.md names modules and the tests that prove what it says: they exist."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
DOCUMENT = (CHECKOUT / "SECURITY.md").read_text()
ROWS = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and line.count(" | ") == 3]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+(?:::\w+)?)`", DOCUMENT))))
def test_a_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    found = [path.read_text() for path in (CHECKOUT / "tests").rglob(f"{file}.py")]

    assert found, f"there is no {file}.py"
    assert not function or any(f"def test_{function}(" in text for text in found)


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`([\w-]+(?:/[\w.-]*)+|Dockerfile|\w[\w-]*\.\w+)`", DOCUMENT)))
)
def test_a_named_file_exists(name: str) -> None:
    assert (CHECKOUT / name).exists()


def test_each_line_of_the_threat_model_names_where_and_its_proof() -> None:
    lines = [row for row in ROWS if "| where |" not in row and "---" not in row]

    assert len(lines) >= 25
    for line in lines:
        *_, where, proof = line.strip("| ").split(" | ")
        assert "`" in where, line
        assert re.search(r"`(test_|make )", proof), line
