"""A request as a line for a shell says exactly the same, whatever is in it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.admin.curl import ARGUMENT_MAX_BYTES, command

URL = "https://hooks.example/in?token=***&tags[]=1"


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder whose `curl` writes its arguments down."""
    script = tmp_path / "curl"
    script.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys\n"
        "pathlib.Path('said').write_bytes(b'\\0'.join(map(os.fsencode, sys.argv[1:])))\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def said(shell: Path, text: str) -> list[bytes]:
    subprocess.run(["/bin/sh", "-c", text], cwd=shell, env={"PATH": f"{shell}:/usr/bin:/bin"}, check=True)
    return (shell / "said").read_bytes().split(b"\0")


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1}',
        b"@/etc/passwd",
        b"it's $HOME `id` $(id) \\ \" ! ; & | > x",
        "ä € 🙂\n\nlast line ".encode(),
        b"--config evil",
        b"",
    ],
)
def test_any_text_arrives_as_it_is(shell: Path, body: bytes) -> None:
    made = command(url=URL, headers=[("X-A", "it's; $1")], body=body, file_name="x.body")

    assert made.file_name == ""
    assert said(shell, made.text) == [
        *(b"--globoff", b"--request", b"POST", URL.encode()),
        *(b"--header", b"X-A: it's; $1", b"--data-raw", body),
    ]


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"a\0b", b"a\x1b[2Jb", b"a\rb", b"x" * (ARGUMENT_MAX_BYTES + 1)]
)
def test_what_no_line_can_carry_safely_comes_from_a_file(shell: Path, body: bytes) -> None:
    made = command(url=URL, headers=[], body=body, file_name="0190.body")

    assert made.file_name == "0190.body"
    assert said(shell, made.text)[-2:] == [b"--data-binary", b"@0190.body"]


def test_headers_that_are_not_on_record_are_left_out_and_named() -> None:
    headers = [("Authorization", "***"), ("webhook-id", "evt_1")]

    made = command(url=URL, headers=headers, body=b"{}", file_name="x")

    assert made.left_out == ["Authorization"]
    assert "Authorization" not in made.text
    assert "webhook-id: evt_1" in made.text
