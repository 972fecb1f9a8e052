"""What a data set's numbers stand for: columns by name, labels by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pushforward.data.alphabet import Alphabet
from pushforward.data.column import Column
from pushforward.data.dialect import Dialect
from pushforward.data.field_format import FieldFormat
from pushforward.data.function_format import FunctionFormat
from pushforward.data.located import Located
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.data.patch_format import PatchFormat
from pushforward.data.set_format import SetFormat
from pushforward.data.table_format import TableFormat
from pushforward.data.windows import Windows
from pushforward.errors import InputError
from pushforward.vocabulary import Vocabulary

__all__ = ["Column", "Schema", "Value"]

Value = str | int | float | bool
"""What can name a class."""


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
        coordinates: what the columns of a table stand for whose states are no vectors of them, such
            as latitude and longitude; then `columns` is empty.
        alphabet: the symbols of texts, whose sequences are the states.
        mixed: how the columns of a table of all kinds are coded; then `columns` is empty.
        fields: what the channels and the axes of fields are, from a NetCDF file or a Zarr store.
        windows: of frames in time, whose leads are levels of the fields, for forecasts.
        patches: what fields were cut from, where states are patches of them.
        molecules: the elements of atoms, where states are molecules.
        functions: where functions are known, and in what form they lay in their file.
        sets: what the columns of a table of points are, whose sets are the states.
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
    coordinates: Located | None = None
    alphabet: Alphabet | None = None
    mixed: TableFormat | None = None
    fields: FieldFormat | None = None
    windows: Windows | None = None
    molecules: MoleculeFormat | None = None
    functions: FunctionFormat | None = None
    sets: SetFormat | None = None
    patches: PatchFormat | None = None

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
    def table_names(self) -> tuple[str, ...]:
        """The names of the columns in the file that states come from."""
        if self.mixed is not None:
            return self.mixed.names
        if self.functions is not None:
            return self.functions.columns
        if self.sets is not None:
            return tuple(name for name in self.sets.order if name != self.label)
        columns = self.columns if self.coordinates is None else self.coordinates.columns
        return tuple(column.name for column in columns)

    @property
    def axis_names(self) -> tuple[str, ...]:
        """The names of the coordinates in pictures: of one point, where states are sets of them."""
        if self.sets is not None:
            return tuple(column.name for column in self.sets.coordinates)
        return self.table_names

    @property
    def array_dtype(self) -> str | None:
        """The type of an array: that of `entries`, or of all columns if they are of integers or
        booleans; `None` for the precision of the states."""
        if self.entries is not None:
            return self.entries.dtype
        kinds = {column.dtype for column in self.columns}
        return kinds.pop() if len(kinds) == 1 and not kinds <= {"float64"} else None

    @property
    def frames(self) -> FieldFormat | None:
        """What single frames are, of windows; `None` of all other data."""
        if self.windows is None or self.fields is None:
            return None
        return self.windows.of_frames(self.fields)

    @property
    def whole(self) -> Schema:
        """That of whole fields, where states are patches of them; itself for all other data."""
        if self.patches is None:
            return self
        return replace(self, fields=self.patches.domain, patches=None)

    def describe(self) -> dict[str, Any]:
        """Plain values that YAML and JSON hold, without what is empty."""
        described: dict[str, Any] = {}
        if self.columns:
            described["columns"] = [column.describe() for column in self.columns]
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
            described["entries"] = self.entries.describe()
        if self.layout is not None:
            described["layout"] = self.layout
        if self.given:
            described["given"] = [column.describe() for column in self.given]
            described["given_at"] = list(self.given_at)
        if self.coordinates is not None:
            described["coordinates"] = self.coordinates.describe()
        if self.alphabet is not None:
            described["alphabet"] = self.alphabet.describe()
        if self.mixed is not None:
            described["mixed"] = self.mixed.describe()
        if self.fields is not None:
            described["fields"] = self.fields.describe()
        if self.windows is not None:
            described["windows"] = self.windows.describe()
        if self.molecules is not None:
            described["molecules"] = self.molecules.describe()
        if self.functions is not None:
            described["functions"] = self.functions.describe()
        if self.sets is not None:
            described["sets"] = self.sets.describe()
        if self.patches is not None:
            described["patches"] = self.patches.describe()
        if self.vocabulary is not None:
            words = list(self.vocabulary.words)
            described["vocabulary"] = {"words": words, "length": self.vocabulary.length}
        return described

    @classmethod
    def from_description(cls, described: Mapping[str, Any] | None) -> Schema:
        """The schema that `describe` described; an empty one of nothing."""
        known = described or {}
        columns = tuple(map(Column.from_description, known.get("columns") or ()))
        entries = (
            None if known.get("entries") is None else Column.from_description(known["entries"])
        )
        dialect, texts = known.get("dialect"), known.get("vocabulary")
        places, symbols = known.get("coordinates"), known.get("alphabet")
        mixed, fields = known.get("mixed"), known.get("fields")
        functions = known.get("functions")
        windows, atoms, sets = (known.get(k) for k in ("windows", "molecules", "sets"))
        patches = known.get("patches")
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
            tuple(map(Column.from_description, known.get("given") or ())),
            tuple(known.get("given_at") or ()),
            None if places is None else Located.from_description(places),
            None if symbols is None else Alphabet.from_description(symbols),
            None if mixed is None else TableFormat.from_description(mixed),
            None if fields is None else FieldFormat.from_description(fields),
            None if windows is None else Windows.from_description(windows),
            None if atoms is None else MoleculeFormat.from_description(atoms),
            None if functions is None else FunctionFormat.from_description(functions),
            None if sets is None else SetFormat.from_description(sets),
            None if patches is None else PatchFormat.from_description(patches),
        )
