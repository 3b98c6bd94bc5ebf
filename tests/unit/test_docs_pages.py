"""docs/pages.md shows pictures: each is there, and none lies about unused."""

import re

from local.files import CHECKOUT


def test_the_pictures_of_the_pages_are_those_that_are_kept() -> None:
    shown = re.findall(r"\]\(screens/([a-z-]+\.png)\)", (CHECKOUT / "docs/pages.md").read_text())

    assert len(shown) > 8
    assert sorted(shown) == sorted(file.name for file in (CHECKOUT / "docs/screens").iterdir())
