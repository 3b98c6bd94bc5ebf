"""docs/reliability.md names the tests that prove it: they exist."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
DOCUMENT = (CHECKOUT / "docs/reliability.md").read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(test_\w+(?:::\w+)?)`", DOCUMENT))))
def test_a_named_test_exists(name: str) -> None:
    file, _, function = name.partition("::")
    found = [path.read_text() for path in (CHECKOUT / "tests").rglob(f"{file}.py")]

    assert found, f"there is no {file}.py"
    assert not function or any(f"def test_{function}(" in text for text in found)


def test_every_trap_has_its_line() -> None:
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", DOCUMENT, re.M)] == list(range(1, 24))
