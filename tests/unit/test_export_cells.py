"""No cell of an exported file is a formula to a spreadsheet."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from delivery.admin.export import as_csv, as_jsonl, cell


@pytest.mark.parametrize(
    "text",
    [
        *(f"{sign}cmd|' /C calc'!A0" for sign in "=+-@＝＋－＠"),
        *(f"{blank}=1+1" for blank in ("\t", "\r", "\n", " ", "\u00a0", "\r\n")),
        *("\tx", "\rx", "\nx"),
        *(f"a{separator}=1+1" for separator in (",", ";", "|", "\t", "\n", '"', "'")),
        *('",=1+1,"', "';@SUM(1)", "a\r\n=1", "a; =1", ",,-1"),
    ],
)
def test_what_could_be_a_formula_is_marked_as_text(text: str) -> None:
    safe = cell(text)

    for start in range(len(safe)):
        begins_a_cell = start == 0 or safe[start - 1] in ',;|\t\r\n"'
        assert not (begins_a_cell and safe[start:].lstrip()[:1] in tuple("=+-@＝＋－＠")), safe
    assert safe[0] not in "=+-@＝＋－＠\t\r\n"
    assert safe.replace("'", "") == text.replace("'", "")


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "https://hooks.example.com/in?a=1&b=-2", "01a1ff2e-4213-78fc-9ede-0d2b382ebe66"),
        *("workflow.completed", "2026-01-01T00:00:00+00:00", "ops@acme.example", "a = b"),
    ],
)
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (-1.5, "-1.5"),
        (True, "True"),
        (b'{"a": "\xff"}', '{"a": "\\xff"}'),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        ({"a": "=1"}, '{"a": "\'=1"}'),
    ],
)
def test_other_values_are_written_as_texts(value: Any, expected: str) -> None:
    assert cell(value) == expected


def test_quotes_and_separators_stay_within_their_cell() -> None:
    hostile = 'a","=1+1\r\n=2'

    text = "".join(as_csv(["first", "second"], iter([{"first": hostile, "second": "b"}])))

    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[1] == ["a\",\"'=1+1\r'\n'=2", "b"]


def test_json_lines_are_the_values_themselves() -> None:
    (line,) = as_jsonl(["a"], iter([{"a": "=1\n\u2028", "b": None, "c": {"d": 1}}]))

    assert line.count("\n") == 1
    assert json.loads(line) == {"a": "=1\n\u2028", "b": None, "c": {"d": 1}}
