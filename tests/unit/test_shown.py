"""Texts for pages: lengths of time, lines found in a body, where a URL leads."""

import json

import pytest

from delivery.admin import shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((-1, "0 ms"), (0.0004, "0 ms"), (0.45, "450 ms"), (1, "1 s"), (3.25, "3.2 s"), (59.9, "59.9 s")),
        *((60, "1 min"), (720, "12 min"), (725, "12 min 5 s"), (3600, "1 h"), (7500, "2 h 5 min")),
        *((3605, "1 h"), (86_400 * 3 + 3600, "3 d 1 h")),
    ],
)
def test_a_length_of_time_has_two_units_at_the_most(seconds: float, text: str) -> None:
    assert shown.span(seconds) == text


def test_lines_are_found_in_whatever_case_and_split_where_they_match() -> None:
    text = shown.laid_out(json.dumps({"a": "Cat", "b": ["dog", "a CATALOGUE of cats"]}).encode())

    found = shown.found_lines(text, "cat")

    assert [line.number for line in found] == [2, 5]
    assert [piece for piece, is_it in found[1].pieces if is_it] == ["CAT", "cat"]
    assert "".join(piece for piece, _ in found[1].pieces) == text.split("\n")[4]


def test_of_very_many_lines_the_first_are_listed() -> None:
    assert len(shown.found_lines("x\n" * 1_000, "x")) == shown.LINES_FOUND_MAX


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example/in?a=***", "hooks.example"),
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("https://***@hooks.example:8443/x", "hooks.example:8443"),
        ("https://hooks.example?x=***", "hooks.example"),
    ],
)
def test_a_receiver_is_its_host_and_port(url: str, host: str) -> None:
    assert shown.host(url) == host
