"""A rule may be switched off where it is wrong, and says there why."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
FOLDERS = (
    "webhooks_project",
    "subscriptions",
    "delivery",
    "runs",
    "portal",
    "local",
    "demo",
    "benchmarks",
    "tests",
)


def sources() -> Iterator[Path]:
    yield CHECKOUT / "manage.py"
    for folder in FOLDERS:
        yield from (CHECKOUT / folder).rglob("*.py")


def without_a_reason(text: str) -> list[str]:
    """Lines that switch a security rule, or every rule, off and do not say why."""
    found = []
    for line in text.splitlines():
        switched = re.search(r"#\s*noqa\b(?::\s*(?P<codes>[A-Z0-9, ]+))?(?P<rest>.*)", line)
        if switched is None:
            continue
        codes = switched["codes"]
        is_security = codes is None or re.search(r"\bS\d", codes)
        if is_security and not (codes and re.match(r"\s*- \w.{5,}", switched["rest"])):
            found.append(line.strip())
    return found


def test_every_suppressed_security_rule_has_its_reason_on_its_line() -> None:
    bare = {
        str(path.relative_to(CHECKOUT)): lines
        for path in sources()
        if path != Path(__file__) and (lines := without_a_reason(path.read_text()))
    }

    assert bare == {}


@pytest.mark.parametrize(
    ("line", "is_bare"),
    [
        ("x = 1  # noqa", True),
        ("x = 1  # noqa: S105", True),
        ("x = 1  # noqa: E501, S608 -", True),
        ("x = 1  # noqa: S105 - a name", False),
        ("x = 1  # noqa: SIM115", False),
    ],
)
def test_a_reason_is_told_from_none(line: str, is_bare: bool) -> None:
    assert bool(without_a_reason(line)) == is_bare


def test_rules_that_are_off_for_whole_folders_have_their_reason_too() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text()
    (section,) = re.findall(r"^select = .*?(?=^\[tool\.ruff\.lint\.mccabe)", project, re.M | re.S)

    assert '"S",' in section, "ruff's security rules are on"
    for line in section.splitlines():
        if re.search(r'"S\d+"', line):
            assert re.search(r"# \w.{5,}", line), line
