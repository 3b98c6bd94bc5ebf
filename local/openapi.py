"""`make openapi`: writes docs/openapi.json, the `/openapi.json` of a production that changed no setting."""

import json
import sys
from pathlib import Path

from local import temporary
from local.files import CHECKOUT
from local.manage import environment, manage
from local.supervisor import say

PUBLISHED = CHECKOUT / "docs/openapi.json"
# Never asked: describing the API takes no database.
NO_DATABASE = "postgres://nobody@127.0.0.1:1/nothing"


class NotDescribed(Exception):
    """The document cannot be made, or is no good OpenAPI."""


def document(folder: Path) -> str:
    """As the code describes it; raises NotDescribed with what is wrong."""
    written = folder / "openapi.json"
    options = ("--format", "openapi-json", "--fail-on-warn", "--validate", "--file", str(written))
    status, output = manage(environment("production", NO_DATABASE, folder), "spectacular", *options)
    if status:
        raise NotDescribed(output)
    found = json.loads(written.read_text(encoding="utf-8"))
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def problem(folder: Path) -> str | None:
    """What is wrong with the published file."""
    try:
        described = document(folder)
    except NotDescribed as error:
        return str(error)
    if not PUBLISHED.exists() or PUBLISHED.read_text(encoding="utf-8") != described:
        return f"{PUBLISHED.name} is not what the code says: `make openapi` writes it"
    return None


def main() -> int:
    try:
        with temporary.folder() as folder:
            PUBLISHED.write_text(document(folder), encoding="utf-8")
    except NotDescribed as error:
        say(str(error))
        return 1
    say(f"wrote {PUBLISHED.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
