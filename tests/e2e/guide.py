"""A reader of docs/guides: does what the document says, in its order, in one shell.

```sh is done. ```text or ```json after it is what it prints, where … stands for anything within a line,
and a line of … alone for any lines. The order of lines counts for nothing, and they have a while to come: a
receiver in the background prints when it is told.
Code in other languages names its file after the language, and is what stands there.
"""

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.files import CHECKOUT

BLOCK = re.compile(r"^( *)```(\w+)(?: (\S+))?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
OUTPUTS = ("text", "json")
PRINTED_WITHIN_SECONDS = 30
# What it prints belongs to nobody's output.
ENDED = "-- the block has ended --"


@dataclass
class Block:
    """Of a guide: code, with the output that follows it."""

    language: str
    file: str
    code: str
    line: int
    output: str = ""


def blocks(guide: Path) -> list[Block]:
    text, found = guide.read_text(), list[Block]()
    for match in BLOCK.finditer(text):
        indent, language, file, code = match.groups()
        code = re.sub(f"^{indent}", "", code, flags=re.MULTILINE)
        if language in OUTPUTS:
            assert found, f"{guide.name}: an output before any command"
            assert not found[-1].output, f"{guide.name}: two outputs of one command"
            found[-1].output = code
        else:
            found.append(Block(language, file or "", code, line=text.count("\n", 0, match.start()) + 1))
    return found


class Shell:
    """The reader's terminal."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            ["bash", "-euo", "pipefail"],
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # So that what a guide leaves in the background ends with it.
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._has_ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def do(self, block: Block) -> None:
        """Do what it says and see what it prints; raises AssertionError."""
        script = self._folder / f"line-{block.line}.sh"
        script.write_text(block.code)
        assert self._process.stdin is not None
        # Not from the pipe: what reads its input would read our next command.
        self._process.stdin.write(f"source {shlex.quote(str(script))} </dev/null\necho; echo '{ENDED}'\n")
        self._process.stdin.flush()
        self._wait_for(lambda: ENDED in self._lines)
        self._wait_for(lambda: not block.output or is_printed(block.output, self._printed()), block.output)
        with self._changed:
            self._lines.clear()

    def _printed(self) -> list[str]:
        return [line for line in self._lines if line not in ("", ENDED)]

    def _wait_for(self, met: Callable[[], bool], wanted: str = "") -> None:
        with self._changed:
            self._changed.wait_for(lambda: met() or self._has_ended, PRINTED_WITHIN_SECONDS)
            printed = "\n".join(self._printed())
            assert met(), f"printed:\n{printed}\n\nexpected:\n{wanted or 'that it succeeds'}"

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def is_printed(wanted: str, printed: list[str]) -> bool:
    """Is it all of what was printed, in whatever order, but for what … stands for?"""
    left, others_may_be = list(printed), False
    for line in filter(None, wanted.splitlines()):
        if line == "…":
            others_may_be = True
            continue
        pattern = re.escape(line).replace("…", ".*")
        found = next((one for one in left if re.fullmatch(pattern, one)), None)
        if found is None:
            return False
        left.remove(found)
    return others_may_be or not left
