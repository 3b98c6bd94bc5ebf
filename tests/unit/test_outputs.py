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
