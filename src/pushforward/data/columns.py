"""Which columns of a table are features, and which one is the label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from pushforward.data.schema import Schema
from pushforward.errors import InputError

__all__ = ["LABELS", "Wanted", "choose", "closest", "listed", "names_of"]

LABELS = ("c", "label")
"""What a column of labels is called that has no name of its own."""


class Wanted:
    """The columns that a model needs of other data, found by their names in any order.

    Columns beside them are left out. Where one side has no names, its columns are taken in their
    order; either is said in `notes`. `found` tells whether they have been looked for.

    Args:
        schema: of the data that the model was trained on.

    >>> wanted = Wanted(Schema.of("height", "width", label="kind"))
    >>> wanted.find(["id", "width", "height"], "pets.csv", None), wanted.notes
    (([2, 1], None), ["pets.csv: left out 'id', which the model does not know"])
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.notes: list[str] = []
        self.found = False

    def find(self, names: Sequence[str], source: str, label: Any) -> tuple[list[int], int | None]:
        """The positions of the features, in the order of the schema, and that of the label.

        The label is the column that `label` names or numbers, or the one of the schema if it is
        there; with `label=False` it is passed over. Raises `InputError` for columns that are
        missing, there several times, or, without names, of another number.
        """
        self.found = True
        target = self._label(names, source, label)
        rest = [i for i in range(len(names)) if i != target]
        chosen = self._features(names, source, rest)
        return chosen, None if label is False else target

    def _label(self, names: Sequence[str], source: str, label: Any) -> int | None:
        if label is not None and label is not False:
            return _position(names, source, label)
        schema = self.schema
        own = (schema.label,) if schema.label is not None else LABELS if schema.classes else ()
        found = (name for name in own if name in names and name not in schema.names)
        return next((list(names).index(name) for name in found), None)

    def _features(self, names: Sequence[str], source: str, rest: list[int]) -> list[int]:
        wanted = self.schema.names
        if wanted == tuple(names[i] for i in rest):
            return rest  # also where several share a name
        known = (*wanted, self.schema.label) if self.schema.label is not None else wanted
        if not wanted or _numbered(names) or _numbered(wanted) or _numbered(known):
            return self._in_order(names, source, rest)
        missing = [name for name in wanted if name not in names]
        if missing:
            raise InputError(
                f"{source} has no column {listed(missing)}, which the model was trained on; it has "
                f"{listed(names)}: rename its columns, or give an array, which is matched by "
                "position"
            )
        for name in wanted:
            if names.count(name) > 1 or wanted.count(name) > 1:
                raise InputError(
                    f"{source} has several columns called {name!r}, which cannot be told apart by "
                    "name"
                )
        extra = [names[i] for i in rest if names[i] not in wanted]
        if extra:
            self.notes.append(f"{source}: left out {listed(extra)}, which the model does not know")
        return [names.index(name) for name in wanted]

    def _in_order(self, names: Sequence[str], source: str, rest: list[int]) -> list[int]:
        wanted = self.schema.names
        if wanted and len(rest) != len(wanted):
            raise InputError(
                f"{source} has {len(rest)} columns to match by position with {listed(wanted)}, as "
                "not both have names: name its columns in a header, or say which one holds the "
                "labels with label="
            )
        whose = "it has" if _numbered(names) else "the data of the model have"
        self.notes.append(f"{source}: columns are matched by position, as {whose} no names")
        return rest


def listed(names: Sequence[str]) -> str:
    """Names in quotation marks, the first 20.

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _numbered(names: Sequence[str]) -> bool:
    """Whether columns have numbers in the place of names, as in a file without a header."""
    return set(names) == set(map(str, range(len(names))))


def closest(word: str, known: Sequence[str]) -> str:
    """` (did you mean 'x'?)`, or nothing.

    >>> closest("digts", ["digits", "pinwheel"])
    " (did you mean 'digits'?)"
    >>> closest("digits", ["digits"])
    ''
    """
    match = get_close_matches(word, [name for name in known if name != word], n=1)
    return f" (did you mean {match[0]!r}?)" if match else ""


def choose(
    names: Sequence[str],
    source: str,
    label: Any = None,
    columns: Sequence[str | int] | Wanted | None = None,
) -> tuple[list[int], int | None]:
    """The positions of the features and of the label among the columns `names`.

    Columns are named, or numbered from 0 (from the end if negative); `"1:"` and `"2:5"` are the
    ranges that they are in Python, without the label. Without `columns` every column but the label
    is a feature; `Wanted` ones are found by name. Raises `InputError` for columns that do not
    exist, are named twice, or leave no feature.

    >>> choose(["a", "b", "kind"], "pets.csv", label="kind")
    ([0, 1], 2)
    """
    if isinstance(columns, Wanted):
        return columns.find(list(names), source, label)
    target = None
    if label is not None and label is not False:
        if not isinstance(label, (str, int)) or label is True:
            raise InputError(f"label names a column of {source}, by name or number, not {label!r}")
        target = _position(names, source, label)
    if columns is None:
        chosen = [i for i in range(len(names)) if i != target]
    else:
        if isinstance(columns, (str, int)):
            columns = [columns]
        chosen = [i for column in columns for i in _positions(names, source, column, target)]
        twice = {i for i in chosen if chosen.count(i) > 1}
        if twice or target in chosen:
            again = names[min(twice) if twice else chosen[chosen.index(target or 0)]]
            raise InputError(f"column {again!r} of {source} is chosen twice")
    if not chosen:
        raise InputError(f"{source} has no column left to learn from beside the label {label!r}")
    return chosen, target


def _positions(
    names: Sequence[str], source: str, column: str | int, target: int | None
) -> list[int]:
    cut = None if column in names else re.fullmatch(r"(-?\d*):(-?\d*)", str(column))
    if cut is None:
        return [_position(names, source, column)]
    start, stop = (int(end) if end else None for end in cut.groups())
    if max(start or 0, stop or 0) > len(names):
        raise InputError(
            f"{source} has no columns {column!r}: it has {len(names)}, numbered from 0, and the "
            "end of a range is not part of it"
        )
    return [i for i in range(len(names))[start:stop] if i != target]


def _position(names: Sequence[str], source: str, column: str | int) -> int:
    text = str(column)
    if isinstance(column, str) and list(names).count(text) > 1:
        raise InputError(f"{source} has several columns called {text!r}: choose it by its number")
    if isinstance(column, str) and text in names:
        return list(names).index(text)
    try:
        number = int(column)
    except ValueError:
        number = len(names)
    if -len(names) <= number < len(names):
        return number % len(names)
    raise InputError(
        f"{source} has no column {column!r}{closest(text, names)}; it has {listed(names)}"
    )


def names_of(value: Any) -> list[Any]:
    """Names as a list, also of a text with commas between; none for `None`.

    >>> names_of("a, b"), names_of(("a",)), names_of(None)
    (['a', 'b'], ['a'], [])
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, Sequence) else [value]
