from __future__ import annotations

import pytest

from pushforward.data.columns import choose
from pushforward.errors import InputError

NAMES = ["a", "b", "kind", "2:3"]


@pytest.mark.parametrize(
    ("label", "columns", "result"),
    [
        (None, None, ([0, 1, 2, 3], None)),
        (False, None, ([0, 1, 2, 3], None)),
        ("kind", None, ([0, 1, 3], 2)),
        (-2, None, ([0, 1, 3], 2)),
        ("2", None, ([0, 1, 3], 2)),
        (0, ["b"], ([1], 0)),
        (None, "b", ([1], None)),
        (None, ["b", 0], ([1, 0], None)),
        (None, "1:", ([1, 2, 3], None)),
        ("kind", ["1:"], ([1, 3], 2)),
        (None, ":-1", ([0, 1, 2], None)),
        (None, ["2:3"], ([3], None)),
    ],
)
def test_choice(label: object, columns: list | None, result: tuple) -> None:
    assert choose(NAMES, "file", label, columns) == result


@pytest.mark.parametrize(
    ("label", "columns", "message"),
    [
        ("knid", None, r"no column 'knid' \(did you mean 'kind'\?\); it has 'a', 'b', 'kind'"),
        (9, None, "no column 9"),
        (None, ["c"], "no column 'c'"),
        (None, ["a", 0], "'a' of file is chosen twice"),
        ("a", ["a", "b"], "'a' of file is chosen twice"),
        (None, [], "no column left"),
        (None, ["7:"], "no columns '7:': it has 4"),
        (0.5, None, "by name or number"),
        (True, None, "by name or number"),
    ],
)
def test_choices_that_fail(label: object, columns: list | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(NAMES, "file", label, columns)


def test_ambiguous_names() -> None:
    with pytest.raises(InputError, match="several columns called 'a'"):
        choose(["a", "a"], "file", "a")
    assert choose(["a", "a"], "file", 1) == ([0], 1)


@pytest.mark.parametrize("columns", ["1:3", "5:", "0:9"])
def test_ranges_past_the_last_column_are_refused(columns: str) -> None:
    with pytest.raises(InputError, match="it has 2, numbered from 0"):
        choose(["a", "b"], "pets.csv", columns=columns)
    assert choose(["a", "b"], "pets.csv", columns="0:2")[0] == [0, 1]
    assert choose(["a", "b"], "pets.csv", columns="-2:")[0] == [0, 1]
