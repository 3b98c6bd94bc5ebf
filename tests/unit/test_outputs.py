"""A workflow's configured outputs: names and paths into the run."""

from typing import Any

import pytest

from runs.outputs import UnknownVariable, known_variables, resolve

CONTEXT: dict[str, Any] = {
    "input": {"prompt": "a cat", "empty": {}, "dotted.key": 1},
    "steps": {"render": {"input": None, "output": {"urls": ["a", {"b": "c"}]}, "primary": "a"}},
    "output": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input.prompt", "a cat"),
        ("input", CONTEXT["input"]),
        ("steps.render.output.urls", ["a", {"b": "c"}]),
        ("steps.render.output.urls.0", "a"),
        ("steps.render.output.urls.1.b", "c"),
        ("steps.render.input", None),
        ("output", None),
        ("input.empty", {}),
    ],
)
def test_a_path_leads_to_its_value(path: str, value: Any) -> None:
    assert resolve({"x": path}, CONTEXT) == {"x": value}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("input.dotted.key", 1),
        ("a.b", "longest"),
        ("a.c", "inner"),
        ("a.b.c", "of the longest"),
        ("a.b.d", "of the shorter one"),
        ("a.b.c.d", "deep"),
        ("list.0.x.y", "in a list"),
        ("list.0.x", {"z": None}),
        ("list.0.x.z", None),
        ("ends.", "with a dot"),
        ("..", "dots"),
    ],
)
def test_keys_with_dots_are_followed_the_longest_first(path: str, value: Any) -> None:
    longest = {"c": "of the longest"}
    context = {
        "a": {"b": {"d": "of the shorter one", "c": "hidden", "c.d": "deep"}, "c": "inner"},
        "a.b": longest,
        "list": [{"x": {"z": None}, "x.y": "in a list"}],
        "input": CONTEXT["input"],
        "ends.": "with a dot",
        "..": "dots",
    }

    expected = longest if value == "longest" else value
    for ordered in (context, dict(reversed(context.items()))):
        assert resolve({"x": path}, ordered) == {"x": expected}


def test_a_path_with_many_readings_is_refused_in_no_time() -> None:
    """Each value of the run is looked at once at most, however many ways lead there."""
    context: dict[str, Any] = {}
    level = context
    for depth in range(60):
        level |= {"a": {}, "a.a": {"end": depth}}
        level = level["a"]

    with pytest.raises(UnknownVariable):
        resolve({"x": ".".join("a" * 127)}, context)


def test_outputs_keep_the_author_s_names_and_order() -> None:
    resolved = resolve({"zebra": "output", "imageUrl": "input.prompt"}, CONTEXT)

    assert list(resolved.items()) == [("zebra", None), ("imageUrl", "a cat")]


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "nope", "input.", ".input", "input..prompt", "input.Prompt", "steps.draw.output"),
        *("steps.render.output.urls.2", "steps.render.output.urls.-1", "steps.render.output.urls.x"),
        *("steps.render.output.urls.٠", "steps.render.output.urls.²", "input.prompt.0", "output.x"),
        *("__class__", "input.__len__", "steps.render.output.urls." + "9" * 200),
    ],
)
def test_an_unknown_name_is_refused_in_seed_000s_words(path: str) -> None:
    with pytest.raises(UnknownVariable) as refused:
        resolve({"x": path}, CONTEXT)

    first, second, *known = str(refused.value).split("\n")
    assert first == f"Variable '{path}' not found. Available variables to use:"
    assert [second, *known] == known_variables(CONTEXT)


def test_the_seed_s_own_message() -> None:
    with pytest.raises(UnknownVariable) as refused:
        resolve({"x": "proompt"}, {"proomt": 1})

    assert str(refused.value) == "Variable 'proompt' not found. Available variables to use:\nproomt"


def test_known_variables_are_paths_three_levels_deep() -> None:
    assert known_variables(CONTEXT) == [
        *("input.prompt", "input.empty", "input.dotted.key"),
        *("steps.render.input", "steps.render.output", "steps.render.primary", "output"),
    ]
