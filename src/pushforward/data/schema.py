"""What a data set's numbers stand for: columns by name, labels by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.data.dialect import Dialect
from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["Column", "Schema", "Value"]

Value = str | int | float | bool
"""What can name a class."""


@dataclass(frozen=True)
class Column:
    """One column of a table, as the file has it.

    Args:
        name: by which it is found in other files.
        dtype: the type of the values in the file, a numpy dtype name such as `"float64"`,
            `"int64"` or `"bool"`; `"str"` for words.
        levels: the sorted distinct values, where there are few of them or they are booleans, so
            that samples can be rounded to them; `None` for any other column.
        words: the spellings of the levels in the file, such as `("no", "yes")`, one for each;
            empty where they are numbers.
        value_range: the smallest and the largest value of a column of integers without levels.
    """

    name: str
    dtype: str = "float64"
    levels: tuple[float, ...] | None = None
    words: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.words and len(self.words) != len(self.levels or ()):
            raise InputError(
                f"column {self.name!r} has {len(self.words)} words for "
                f"{len(self.levels or ())} levels"
            )

    @property
    def categorical(self) -> bool:
        """Whether its levels are words that have no order."""
        return self.dtype == "str"


@dataclass(frozen=True)
class Schema:
    """What tells the columns and the classes of a data set apart: names and values, not positions.

    Args:
        columns: the features of a table, in the order of the states; empty for data without names.
        label: the name of the column, or of the array in an `.npz`, that holds the labels.
        classes: the values of the labels, as typed in the file: code `k` is `classes[k]`.
        label_dtype: the type of the labels in the file, if it has types: a numpy dtype name, or
            `"category"`.
        label_at: how many of the columns come before the labels; they are last by default.
        dialect: how the table is written, if it is text.
        entries: what the numbers of an array are, whose columns have no names; its own is that of
            the array in a file of several.
        vocabulary: the words of captions, where these are the labels.
        given: the columns that are contexts, in their order there, if some are.
        given_at: where these stand among all columns of the file.
        layout: how the axes of pictures lie in the file, `"HWC"` or `"HW"`; `None` for `(C, H, W)`.

    Raises `InputError` for names or values that are there twice.

    >>> schema = Schema.of("height", "width", label="kind", classes=("ant", "bee"))
    >>> schema.names
    ('height', 'width')
    >>> Schema.from_description(schema.describe()) == schema
    True
    """

    columns: tuple[Column, ...] = ()
    label: str | None = None
    classes: tuple[Value, ...] = ()
    label_dtype: str | None = None
    label_at: int | None = None
    dialect: Dialect | None = None
    entries: Column | None = None
    layout: str | None = None
    vocabulary: Vocabulary | None = None
    given: tuple[Column, ...] = ()
    given_at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        # Two columns of one name occur in files, and are told apart by their numbers there.
        if len(set(self.classes)) < len(self.classes):
            raise InputError(f"classes {self.classes} are not all different")

    @classmethod
    def of(cls, *names: str, label: str | None = None, classes: Sequence[Value] = ()) -> Schema:
        """A schema of columns of which only the names are known."""
        return cls(tuple(Column(name) for name in names), label, tuple(classes))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def array_dtype(self) -> str | None:
        """The type of an array: that of `entries`, or of all columns if they are of integers or
        booleans; `None` for the precision of the states."""
        if self.entries is not None:
            return self.entries.dtype
        kinds = {column.dtype for column in self.columns}
        return kinds.pop() if len(kinds) == 1 and not kinds <= {"float64"} else None

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold, without what is empty."""
        described: dict[str, Any] = {}
        if self.columns:
            described["columns"] = [_described(column) for column in self.columns]
        if self.label is not None:
            described["label"] = self.label
        if self.classes:
            described["classes"] = list(self.classes)
        if self.label_dtype is not None:
            described["label_dtype"] = self.label_dtype
        if self.label_at is not None:
            described["label_at"] = self.label_at
        if self.dialect is not None:
            described["dialect"] = self.dialect.describe()
        if self.entries is not None:
            described["entries"] = _described(self.entries)
        if self.layout is not None:
            described["layout"] = self.layout
        if self.given:
            described["given"] = [_described(column) for column in self.given]
            described["given_at"] = list(self.given_at)
        if self.vocabulary is not None:
            words = list(self.vocabulary.words)
            described["vocabulary"] = {"words": words, "length": self.vocabulary.length}
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Any] | None) -> Schema:
        """The schema that `describe` described; an empty one of nothing."""
        known = described or {}
        columns = tuple(map(_column, known.get("columns") or ()))
        entries = None if known.get("entries") is None else _column(known["entries"])
        dialect, texts = known.get("dialect"), known.get("vocabulary")
        return cls(
            columns,
            known.get("label"),
            tuple(known.get("classes") or ()),
            known.get("label_dtype"),
            known.get("label_at"),
            None if dialect is None else Dialect.from_description(dialect),
            entries,
            known.get("layout"),
            None if texts is None else Vocabulary(tuple(texts["words"]), texts["length"]),
            tuple(map(_column, known.get("given") or ())),
            tuple(known.get("given_at") or ()),
        )


def _column(described: Mapping[str, Any]) -> Column:
    levels, limits = described.get("levels"), described.get("value_range")
    return Column(
        str(described["name"]),
        described.get("dtype", "float64"),
        None if levels is None else tuple(levels),
        tuple(described.get("words") or ()),
        None if limits is None else (limits[0], limits[1]),
    )


def _described(column: Column) -> dict[str, Any]:
    described: dict[str, Any] = {"name": column.name, "dtype": column.dtype}
    if column.levels is not None:
        described["levels"] = list(column.levels)
    if column.words:
        described["words"] = list(column.words)
    if column.value_range is not None:
        described["value_range"] = list(column.value_range)
    return described
