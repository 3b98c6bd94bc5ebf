"""Rules of the house that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
PRODUCT = ("webhooks_project", "subscriptions", "delivery", "runs", "portal")
LINES_PER_FILE = 280
LINES_PER_TEST_FILE = 400
LINES_PER_FUNCTION = 60


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (p for p in (CHECKOUT / folder).rglob("*.py") if "migrations" not in p.parts)


def test_the_environment_is_read_in_env_py_only() -> None:
    readers = {
        path.relative_to(CHECKOUT).as_posix()
        for path in sources(*PRODUCT)
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text())
    }

    assert readers == {"webhooks_project/env.py"}


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    too_long = {
        str(path.relative_to(CHECKOUT)): lines
        for path in sources(*PRODUCT, "local", "demo", "benchmarks", "examples", "tests")
        if (lines := len(path.read_text().splitlines()))
        > (LINES_PER_TEST_FILE if "tests" in path.relative_to(CHECKOUT).parts else LINES_PER_FILE)
    }

    assert too_long == {}


def test_no_function_is_too_long_to_be_understood() -> None:
    too_long = {
        f"{path.relative_to(CHECKOUT)}:{node.name}": lines
        for path in sources(*PRODUCT, "local", "demo", "benchmarks", "examples", "tests")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LINES_PER_FUNCTION
    }

    assert too_long == {}


def test_only_the_sender_opens_sockets_to_receivers() -> None:
    """import-linter keeps requests and urllib3 there; these would be ways around it.

    The others: the host's name (presence), and a file of certificates that is read (target_checks).
    """
    importers = {
        (path.relative_to(CHECKOUT).as_posix(), name)
        for path in sources(*PRODUCT)
        for name in re.findall(
            r"^\s*(?:import|from) (socket|ssl|asyncio|http\.client|urllib\.request|smtplib|ftplib)\b",
            path.read_text(),
            re.MULTILINE,
        )
    }

    assert {i for i in importers if not i[0].startswith("delivery/sender/")} == {
        # Loops that are handed a transport of the sender's.
        ("delivery/loop/engine.py", "asyncio"),
        ("delivery/loop/permits.py", "asyncio"),
        # What callers of the API send and are told, on connections that its server accepts.
        ("delivery/api/lean_loop.py", "asyncio"),
        ("webhooks_project/asgi.py", "asyncio"),
        ("webhooks_project/bodies.py", "asyncio"),
        ("webhooks_project/server.py", "asyncio"),
        ("webhooks_project/threads.py", "asyncio"),
        ("delivery/presence.py", "socket"),
        ("delivery/target_checks.py", "ssl"),
    }


@pytest.mark.parametrize(
    "variable",
    sorted(
        set(
            re.findall(
                r'(?:env\.\w+|demanded)\(\s*"([A-Z_]+)"',
                "".join(path.read_text() for path in (CHECKOUT / "webhooks_project/settings").glob("*.py")),
            )
        )
    ),
)
def test_every_variable_is_in_the_table_of_settings(variable: str) -> None:
    table = (CHECKOUT / "docs/settings.md").read_text()

    assert f"`{variable}`" in table
