"""What can be said of docs/guides without a running service; tests/e2e/test_guides.py follows them."""

import re
from pathlib import Path

import pytest

from tests.e2e.guide import blocks, is_printed

CHECKOUT = Path(__file__).parent.parent.parent
GUIDES = sorted((CHECKOUT / "docs/guides").glob("*.md"))
VERIFYING = (CHECKOUT / "docs/verifying.md").read_text()


@pytest.mark.parametrize("guide", GUIDES, ids=[guide.stem for guide in GUIDES])
def test_a_guide_is_found_from_the_readme_and_leads_to_what_is_there(guide: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", guide.read_text())

    assert f"docs/guides/{guide.name}" in (CHECKOUT / "README.md").read_text()
    assert targets
    assert [target for target in targets if not (guide.parent / target).exists()] == []


@pytest.mark.parametrize("guide", GUIDES, ids=[guide.stem for guide in GUIDES])
def test_a_guide_has_commands_and_says_what_they_print(guide: Path) -> None:
    found = blocks(guide)

    assert {block.language for block in found} <= {"sh", "python", "javascript"}
    assert [block for block in found if block.output]
    assert [block for block in found if block.language != "sh" and not block.file] == []


@pytest.mark.parametrize(
    ("language", "file", "begins"),
    [("python", "by_hand.py", "def verify_standard("), ("javascript", "by_hand.js", "function same(")],
)
def test_the_receivers_verify_by_the_functions_that_are_tested_with_every_forgery(
    language: str, file: str, begins: str
) -> None:
    example = (CHECKOUT / "examples/receivers" / file).read_text()
    tested = next(
        code[code.index(begins) :]
        for code in re.findall(rf"```{language}\n(.*?)```", VERIFYING, re.DOTALL)
        if begins in code
    )

    assert tested in example


@pytest.mark.parametrize(
    ("wanted", "printed", "is_it"),
    [
        ("one\ntwo\n", ["one", "two"], True),
        ("one\n", ["one", "two"], False),
        ("one\ntwo\n", ["one"], False),
        ("one\n", ["One"], False),
        ('{"id":"evt_…","n":1}\n', ['{"id":"evt_a1","n":1}'], True),
        ('{"id":"evt_…","n":1}\n', ['{"id":"evt_a1","n":2}'], False),
        ("one\ntwo\n", ["two", "one"], True),
        ("one\none\n", ["one"], False),
        ("…\nlast\n", ["first", "second", "last"], True),
        ("…\nlast\n", ["first", "second"], False),
        ("a.b\n", ["axb"], False),
    ],
)
def test_what_is_printed_is_held_against_what_the_guide_says(
    wanted: str, printed: list[str], is_it: bool
) -> None:
    assert is_printed(wanted, printed) is is_it


def test_a_block_is_taken_out_of_its_list_with_its_output(tmp_path: Path) -> None:
    guide = tmp_path / "guide.md"
    guide.write_text("1. So:\n\n   ```sh\n   echo a \\\n     b\n   ```\n\n   ```text\n   a b\n   ```\n")

    (block,) = blocks(guide)

    assert (block.code, block.output, block.line) == ("echo a \\\n  b\n", "a b\n", 3)
