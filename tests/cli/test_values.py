"""Values on the command line and in recipes mean what the type of their option says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushforward.cli.recipe import read
from pushforward.cli.values import dump, parse, read_value
from pushforward.errors import InputError

Columns = Sequence[str | int] | None


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("1:", Columns, ["1:"]),
        ("1:3", Columns, ["1:3"]),
        ("a,b", Columns, ["a", "b"]),
        ("[a, 1:3, '5']", Columns, ["a", "1:3", "5"]),
        ("null", Columns, None),
        ("no", str | None, "no"),
        ("007", str, "007"),
        ("2020-01-01", str, "2020-01-01"),
        ("'null'", str | None, "null"),
        ("1e-3", float, 0.001),
        ("3", float, 3.0),
        ("1e4", int, 10_000),
        ("9007199254740993", int, 9007199254740993),
        ("on", bool, True),
        ("no", bool | None, False),
        ("false", bool | str | Any, False),
        ("no", bool | str | Any, "no"),
        ("2019", bool | str | Any, "2019"),
        ("8", int | Sequence[int] | None, 8),
        ("8,16", int | Sequence[int] | None, [8, 16]),
        ("[8, 16]", int | Sequence[int] | None, [8, 16]),
        ("0,1e3", Sequence[float] | None, [0.0, 1000.0]),
        ("auto", float | str, "auto"),
        ("0.5", float | str, 0.5),
        ("cosine", Literal["cosine", "constant"], "cosine"),
        ("{class: mlp, width: 8}", str | Path, {"class": "mlp", "width": 8}),
        ("1e-3", Any, 0.001),
        ("1:30", Any, "1:30"),
        ("yes", Any, "yes"),
        ("0o7", Any, "0o7"),
        ("010", Any, 10),
        ("[1, 2e3, a]", Any, [1, 2000.0, "a"]),
        ("", Any, None),
    ],
)
def test_a_value_is_read_by_its_type(text: str, hint: Any, value: Any) -> None:
    found = read_value("key", text, hint)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "hint", "message"),
    [
        ("abc", int, "key = 'abc': give a whole number"),
        ("1.5", int, "'1.5': give a whole number"),
        ("abc", float | None, "a number or null"),
        ("maybe", bool, "true or false"),
        ("cosin", Literal["cosine", "constant"], "cosine or constant"),
        ("[1, 2", Columns, "is not YAML"),
    ],
)
def test_a_value_that_does_not_fit(text: str, hint: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_value("key", text, hint)


# Control characters and unusual ends of lines are beyond PyYAML.
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    )
)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert parse(dump(value)) == value


def test_overrides_of_a_recipe() -> None:
    words = ["data.columns=1:3", "data.name=on", "train.lr=1e-3", "train.standardize=off"]
    words += ["model.class=vae", "model.samples=3", "model.beta=1e-2", "data.label=2019"]
    recipe = read(None, {"data": "x.csv"}, words)
    assert recipe.data == {
        "source": "x.csv", "columns": ["1:3"], "name": "on", "label": "2019"
    }  # fmt: skip
    assert (recipe.train.lr, recipe.train.standardize) == (0.001, False)
    assert recipe.model == {"class": "vae", "samples": 3, "beta": 0.01}
    with pytest.raises(InputError, match=r"data\.n = 'many': give a whole number"):
        read(None, {"data": "digits"}, ["data.n=many"])


def test_a_recipe_file_reads_like_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("data: {source: x.csv, columns: 1:3, label: no}\ntrain: {lr: 1e-4}\n")
    recipe = read(path, {})
    assert recipe.data == {"source": "x.csv", "columns": "1:3", "label": "no"}
    path.write_text(recipe.to_yaml())
    assert read(path, {}) == recipe
