"""Readers of the environment: typed, loud on nonsense, with NAME_FILE for secrets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webhooks_project import env

Reader = Callable[[], Any]


@pytest.mark.parametrize(
    ("value", "read", "expected"),
    [
        ("hello", lambda: env.text("X"), "hello"),
        ("", lambda: env.text("X", "default"), "default"),
        *((word, lambda: env.flag("X", False), True) for word in ("1", "true", "True", "YES", "on")),
        *((word, lambda: env.flag("X", True), False) for word in ("0", "false", "False", "NO", "off")),
        ("", lambda: env.flag("X", True), True),
        ("12", lambda: env.integer("X", 5), 12),
        ("0", lambda: env.integer("X", 5), 0),
        ("", lambda: env.integer("X", 5), 5),
        ("1.5", lambda: env.number("X", 5.0), 1.5),
        ("0", lambda: env.number("X", 5.0), 0.0),
        ("", lambda: env.number("X", 5.0), 5.0),
        (" a, b ,,c ", lambda: env.words("X"), ["a", "b", "c"]),
        ("", lambda: env.words("X", "a,b"), []),
        ("two", lambda: env.choice("X", ("one", "two"), "one"), "two"),
        ("", lambda: env.choice("X", ("one", "two"), "one"), "one"),
    ],
)
def test_a_value_is_read(monkeypatch: pytest.MonkeyPatch, value: str, read: Reader, expected: Any) -> None:
    monkeypatch.setenv("X", value)

    assert read() == expected


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: env.text("X", "default"), "default"),
        (lambda: env.flag("X", True), True),
        (lambda: env.integer("X", 5), 5),
        (lambda: env.number("X", 5.5), 5.5),
        (lambda: env.words("X", "a, b"), ["a", "b"]),
        (lambda: env.choice("X", ("one", "two"), "two"), "two"),
    ],
    ids=["text", "flag", "integer", "number", "words", "choice"],
)
def test_an_absent_variable_has_its_default(
    monkeypatch: pytest.MonkeyPatch, read: Reader, expected: Any
) -> None:
    monkeypatch.delenv("X", raising=False)

    assert read() == expected


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("", lambda: env.text("X")),
        *((word, lambda: env.flag("X", False)) for word in ("2", "maybe", " true", "y")),
        *((word, lambda: env.integer("X", 5)) for word in ("1.5", "ten", "-1", "0x10")),
        ("4", lambda: env.integer("X", 5, at_least=5)),
        *((word, lambda: env.number("X", 5.0)) for word in ("nan", "inf", "-0.1", "ten", "1,5", "1e999")),
        ("three", lambda: env.choice("X", ("one", "two"), "one")),
        ("One", lambda: env.choice("X", ("one", "two"), "one")),
    ],
)
def test_nonsense_stops_the_start_and_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, value: str, read: Reader
) -> None:
    monkeypatch.setenv("X", value)

    with pytest.raises(env.BadEnvironment, match=r"^X "):
        read()


def test_a_demanded_variable_that_is_absent_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("X", raising=False)

    with pytest.raises(env.BadEnvironment, match="X is not set"):
        env.text("X")


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file\n", encoding="utf-8")
    monkeypatch.delenv("X", raising=False)
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))

    assert env.text("X") == "from the file"


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("yes\n", lambda: env.flag("X", False), True),
        ("7\n", lambda: env.integer("X", 1), 7),
        ("a,b\n", lambda: env.words("X"), ["a", "b"]),
    ],
    ids=["flag", "integer", "words"],
)
def test_every_reader_reads_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, read: Reader, expected: Any
) -> None:
    (tmp_path / "value").write_text(text, encoding="utf-8")
    monkeypatch.delenv("X", raising=False)
    monkeypatch.setenv("X_FILE", str(tmp_path / "value"))

    assert read() == expected


def test_the_variable_itself_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from the file", encoding="utf-8")
    monkeypatch.setenv("X", "from the variable")
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))

    assert env.text("X") == "from the variable"


def test_a_file_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("X", raising=False)
    monkeypatch.setenv("X_FILE", str(tmp_path / "nowhere"))

    with pytest.raises(env.BadEnvironment, match="X_FILE"):
        env.text("X", "default")


def test_an_empty_file_counts_as_an_empty_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n", encoding="utf-8")
    monkeypatch.delenv("X", raising=False)
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))

    with pytest.raises(env.BadEnvironment, match="X is not set"):
        env.text("X")


def test_the_value_of_a_secret_is_not_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "")

    with pytest.raises(env.BadEnvironment) as refused:
        env.text("X")

    assert str(refused.value) == "X is not set"


@pytest.mark.parametrize("value", ["foo", "mysql://host/name", "postgres://", "http://host", ""])
def test_a_url_of_another_kind_is_named(value: str) -> None:
    with pytest.raises(env.BadEnvironment, match="DATABASE_URL must be a URL that begins with postgres://"):
        env.url("DATABASE_URL", value, ("postgres",))
