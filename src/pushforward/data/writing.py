"""States to files that `pushforward.data.load` reads back: what goes out comes in equal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import state
from pushforward._files import check_writable, new_folder, replacing, write_text
from pushforward.data.array_files import ARRAYS
from pushforward.data.coordinate_columns import in_columns
from pushforward.data.dialect import Dialect
from pushforward.data.field_files import STORES
from pushforward.data.layouts import in_layout
from pushforward.data.molecule_files import molecules_text
from pushforward.data.picture_files import check_pixels, names_of_pictures, pixels, write_pictures
from pushforward.data.rounding import rounded, typed, typed_array
from pushforward.data.schema import Column, Schema
from pushforward.data.set_columns import table_of_sets
from pushforward.data.set_lists import lists_of_sets
from pushforward.data.table_files import ARROW, TABLES, TEXTS, TypedTable
from pushforward.data.texts import FASTA, spelled_out
from pushforward.data.told_columns import table_of_functions
from pushforward.errors import InputError

__all__ = ["FORMATS", "check_destination", "least_size", "suffix_of", "write"]

_LABEL = "c"
"""The name of labels that no file has named."""

_MOLECULES = (".xyz", ".sdf")

FORMATS = (*TABLES, ".npy", *ARRAYS, ".zarr", *FASTA, *_MOLECULES)
"""The suffixes of files that states are written to; without one they are pictures in a folder."""

_FOLDERS = ("", ".zarr")


def write(
    path: str | Path,
    x: Any,
    *,
    space: Any,
    schema: Schema | None = None,
    levels: int | None = None,
    value_range: tuple[float, float] | None = None,
    labels: Any = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Write states to a file or a folder, in the values and types that a schema names.

    A table (`.csv`, `.tsv`, `.txt`, `.dat`, `.jsonl`, also with `.gz`; `.parquet`, `.feather`,
    `.arrow`, `.xlsx`) has the columns of `space.to_table`. An `.npz`, `.mat`, `.h5` or `.nc` has an
    array, called `x` or as it was, or the parts of states with several as `x.0`, `x.1`, `x.mask`,
    ...; an `.npy` has one array and no labels. Fields go to a `.nc` or a `.zarr` store in the
    variables, dimensions, coordinates and units of theirs (`to_xarray`), and have NaN where their
    data have none. A path without a suffix, or ending in `/`, is a
    folder of 8-bit PNG pictures, in subfolders by label.

    Molecules go to an `.xyz`, or with bonds by distance and four digits to an `.sdf`.

    States of an alphabet are spelled in a `.txt` or a `.fasta`, as the texts that they came from
    lay in their file.

    Columns have the names of the schema; states that come from coordinates, such as latitude and
    longitude, are written as these, in any file. Columns with levels or of integers are rounded to
    the nearest value that they take, booleans are spelled as in the file, and labels are the values
    of the classes, in the column or array called `schema.label` (`c` without a name), where it was.
    Floating-point numbers have all their digits, pictures in an array lie as theirs did, and text
    has the marks, the encoding and the lines
    apart from the table that a file of the same suffix had. `load(path, space=space)` reads the
    states back equal; point sets with their slots in another order.

    All is written aside and moved: if that fails, what was at `path` stays.

    Args:
        path: the file or folder; missing parents are made.
        x: a batch of states.
        space: what they are states of.
        schema: the columns and classes, such as `data.schema`; by default the columns have the
            names of the space.
        levels, value_range: of quantized data, as in `Data`: states go to the nearest level.
        labels: the numbers of classes, one for all or one for each.
        told: of sets and functions, values of further columns, one for each; of tables of all
            kinds the numbers that were given, NaN where none was, to the last digit.

    Raises `InputError` for another suffix, states of several parts in an `.npy`, names or labels
    that do not fit or come twice, a folder that is not empty, or a file that cannot be written;
    `CapabilityError` for states that make no table; `MissingExtraError` without the library of a
    format.

    >>> import tempfile, pushforward as pf
    >>> from pushforward.spaces import Euclidean
    >>> x = torch.tensor([[0.1, 1.8], [1 / 3, 4.0]])
    >>> schema = Schema((Column("height"), Column("legs", "int64")))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "pairs.csv"
    ...     write(path, x, space=Euclidean(), schema=schema)
    ...     print(path.read_text().split())
    ['height,legs', '0.1,2', '0.33333334,4']
    """
    suffix = check_destination(path, schema)
    path = Path(path)
    x = state.map_leaves(lambda a: a.detach().cpu(), x)
    if suffix:
        x, space, schema = in_columns(x, space, schema or Schema())
        if schema.fields is not None:
            x = schema.fields.with_gaps(x)
        if schema.functions is not None and suffix in (".npy", *ARRAYS) and schema.fields is None:
            x = schema.functions.array(x)
    made = _Written(x, space, schema or Schema(), levels, value_range, told)
    values = made.labels(labels)
    # All that can be wrong with the states is found before anything is touched.
    spelled = made.schema.alphabet is not None and suffix in (".txt", *FASTA)
    put = _texts(made, values) if spelled else WRITERS[suffix](made, values)
    aside = new_folder if suffix in _FOLDERS else replacing
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as partial:
            put(partial)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def check_destination(path: str | Path, schema: Schema | None = None) -> str:
    """The suffix of what states can be written to, the empty string for a folder.

    Raises `InputError` for another suffix, a folder that is not empty, or names of a table that
    come twice: all that can be told before there are any states.

    >>> check_destination("samples.csv.gz"), check_destination("new/pictures/")
    ('.csv.gz', '')
    """
    suffix, name = suffix_of(path), Path(path).name
    check_writable(Path(path))
    if suffix is None:
        raise InputError(
            f"states go to {', '.join(FORMATS)} files, or as pictures to a folder, not {name!r}"
        )
    if suffix in _FOLDERS and Path(path).exists() and not _is_empty(Path(path)):
        raise InputError(f"{path} exists and is no empty folder: choose another, or empty it")
    if suffix == ".zarr" and schema is not None and schema.fields is None:
        raise InputError(f"{path}: only fields go to Zarr stores, and these states are none")
    if suffix in _MOLECULES and schema is not None and schema.molecules is None:
        raise InputError(f"{path}: only molecules go to {suffix} files, and these states are none")
    if suffix not in _FOLDERS and Path(path).is_dir():
        raise InputError(f"{path} is a folder: give the name of a file")
    if schema is not None and suffix in TABLES:
        check_names((*schema.table_names, *([] if schema.label is None else [schema.label])))
    return suffix


def least_size(path: str | Path, numbers: int, schema: Schema) -> int:
    """The bytes that so many numbers take at least in a file, 0 where that depends on them.

    A digit and a mark each in a text, and all their bytes in an array: in float32, or in the type
    that the schema names.

    >>> least_size("x.csv", 10, Schema()), least_size("x.npz", 10, Schema())
    (20, 40)
    >>> least_size("x.csv.gz", 10, Schema()), least_size("folder", 10, Schema())
    (0, 0)
    """
    suffix = suffix_of(path)
    if suffix in (".npy", *ARRAYS):
        return numbers * np.dtype(schema.array_dtype or "float32").itemsize
    return 2 * numbers if suffix in TEXTS and not suffix.endswith(".gz") else 0


def suffix_of(path: str | Path) -> str | None:
    """The suffix of a file that is written, the empty string for a folder, `None` for all else.

    >>> suffix_of("a.csv.gz"), suffix_of("folder"), suffix_of("folder.old/"), suffix_of("a.pt")
    ('.csv.gz', '', '', None)
    """
    name = Path(path).name.lower()
    if str(path).endswith(("/", os.sep)) or not Path(name).suffix:
        return ""
    return max((known for known in FORMATS if name.endswith(known)), key=len, default=None)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def check_names(names: Sequence[str]) -> None:
    twice = next((name for k, name in enumerate(names) if name in names[:k]), None)
    if twice is not None:
        raise InputError(
            f"two columns would be called {twice!r}, and no reader could tell them apart: give "
            "other names in schema=, or write an .npz"
        )


@dataclass(frozen=True)
class _Written:
    """States with all that says how they are written."""

    x: Any
    space: Any
    schema: Schema
    levels: int | None
    value_range: tuple[float, float] | None
    told: Mapping[str, Any] | None = None

    def labels(self, labels: Any) -> NDArray[Any] | None:
        """The value of the class of each state."""
        n, classes = state.rows(self.x), self.schema.classes
        if labels is None:
            return None
        found = torch.as_tensor(labels).detach().cpu()
        if found.is_floating_point() or found.ndim > 1 or (found.ndim == 1 and len(found) != n):
            raise InputError(f"labels are integers, one for all or one for each of {n} states")
        numbers = found.expand(n).numpy()
        if not classes:
            return numbers
        if n and (numbers.min() < 0 or numbers.max() >= len(classes)):
            raise InputError(f"labels lie in 0..{len(classes) - 1}, as there are that many classes")
        kinds, known = {type(value) for value in classes}, self.schema.label_dtype
        plain = kinds <= {bool} or kinds <= {int, float}
        values = np.array(classes, dtype=None if plain else object)
        if plain and known not in (None, "category"):
            values = values.astype(known)
        return values[numbers]

    def to_levels(self) -> Any:
        """The states at the values that the data take."""
        return rounded(self.x, self.space, self.schema, self.levels, self.value_range)

    def array_dtype(self) -> np.dtype[Any] | None:
        """The type of the array that the states are in the file; `None` for their own."""
        name = self.schema.array_dtype
        return None if name is None else np.dtype(name)

    def table(
        self, labels: NDArray[Any] | None, *, spelled: bool, exact: bool
    ) -> dict[str, NDArray[Any]]:
        """The columns of a table by name, typed, the labels last."""
        if self.schema.mixed is not None:
            return self.schema.mixed.columns_of(self.x, spelled=spelled, told=self.told)
        if self.schema.functions is not None:
            known = {} if labels is None else {self.schema.label or _LABEL: labels}
            return table_of_functions(self.schema, self.x, {**known, **(self.told or {})})
        if self.schema.sets is not None:
            of_sets = {} if labels is None else {self.schema.label or _LABEL: labels}
            x, mask, *kinds = self.x
            own = (self.schema.sets, x, mask, kinds[0] if kinds else None)
            told = {**of_sets, **(self.told or {})}
            return table_of_sets(*own, spelled=spelled, exact=exact, told=told)
        table, names = self.space.to_table(self.x)
        columns = self.schema.columns or tuple(map(self._column, names, table.mT))
        if len(columns) != table.shape[1]:
            raise InputError(f"{len(columns)} names do not fit a table of {table.shape[1]} columns")
        label = [] if labels is None else [self.label_among(columns)]
        check_names([*(column.name for column in columns), *label])
        if table.is_floating_point():
            # A table of several parts is wider than they are, and would show digits of no meaning.
            wide = any(leaf.dtype == torch.float64 for leaf in state.leaves(self.x))
            table = table.to(torch.float64 if wide else torch.float32)
        made = {
            column.name: typed(values, column, spelled=spelled, exact=exact)
            for column, values in zip(columns, table.mT, strict=True)
        }
        if labels is None:
            return made
        names, at = list(made), self.schema.label_at
        names.insert(len(names) if at is None else at, label[0])
        made[label[0]] = labels
        return {name: made[name] for name in names}

    def _column(self, name: str, values: Tensor) -> Column:
        """What is known of a column that no file has named: it may be one of tokens, in a table
        with numbers."""
        whole = not all(leaf.is_floating_point() for leaf in state.leaves(self.x))
        whole = whole and bool((values == values.round()).all())
        return Column(name, "int64" if whole else "float64")

    def label_among(self, columns: Sequence[Column]) -> str:
        """The name of the labels; without one, a name that no column has."""
        if self.schema.label is not None:
            return self.schema.label
        return _LABEL if all(column.name != _LABEL for column in columns) else "label"


Put = Callable[[Path], None]
"""Writes to a path what has been made ready."""


def _table(suffix: str) -> Callable[..., Put]:
    def ready(made: _Written, labels: NDArray[Any] | None) -> Put:
        columns = made.table(labels, spelled=suffix in TEXTS, exact=suffix in ARROW)
        schema, categories = made.schema, {}
        if labels is not None and schema.label_dtype == "category":
            categories[made.label_among(schema.columns)] = schema.classes
        dialect = TEXTS.get(suffix, Dialect(suffix))
        if schema.dialect is not None and schema.dialect.suffix == suffix:
            dialect = schema.dialect
        table = TypedTable(columns, categories, dialect)
        return lambda path: TABLES[suffix](path, table)

    return ready


def _arrays(suffix: str) -> Callable[..., Put]:
    def ready(made: _Written, labels: NDArray[Any] | None) -> Put:
        if made.schema.sets is not None:
            lists = lists_of_sets(made.schema.sets, made.x, labels, made.told)
            return lambda path: ARRAYS[suffix](path, lists)
        entries, dtype = made.schema.entries, made.array_dtype()
        key = (entries.name if entries is not None else "") or "x"
        parts = state.named_leaves(made.to_levels(), key)
        layout = made.schema.layout
        arrays = {name: in_layout(typed_array(part, dtype), layout) for name, part in parts}
        if labels is not None:
            name = made.schema.label or _LABEL
            if name in arrays:
                raise InputError(f"labels called {name!r} cannot lie beside states of that name")
            arrays[name] = labels
        return lambda path: ARRAYS[suffix](path, arrays)

    return ready


def _store(suffix: str) -> Callable[..., Put]:
    def ready(made: _Written, labels: NDArray[Any] | None) -> Put:
        found = made.schema.fields
        if found is None and suffix in ARRAYS:
            return _arrays(suffix)(made, labels)
        if found is None:
            raise InputError("only fields go to Zarr stores, and these states are none")
        return lambda path: STORES[suffix](path, made.x, found)

    return ready


def _npy(made: _Written, labels: NDArray[Any] | None) -> Put:
    if not isinstance(made.x, Tensor):
        raise InputError(
            f"an .npy file holds one array, but a state has {len(state.leaves(made.x))} parts: "
            "write an .npz"
        )
    if labels is not None:
        raise InputError("an .npy file has no room for labels: write an .npz, or leave them out")
    array = in_layout(typed_array(made.to_levels(), made.array_dtype()), made.schema.layout)

    def put(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array)

    return put


def _texts(made: _Written, labels: NDArray[Any] | None) -> Put:
    if made.schema.alphabet is None:
        raise InputError("records of FASTA are sequences of symbols, and these states are none")
    if labels is not None:
        raise InputError("a file of texts has no room for labels: write an .npz")
    text = spelled_out(made.x, made.schema.alphabet)
    return lambda path: write_text(path, text)


def _molecules(suffix: str) -> Callable[..., Put]:
    def ready(made: _Written, labels: NDArray[Any] | None) -> Put:
        if made.schema.molecules is None:
            raise InputError(f"only molecules go to {suffix} files, and these states are none")
        if labels is not None:
            raise InputError(f"a {suffix} file has no room for labels: write an .npz")
        text = molecules_text(suffix, made.x, made.schema.molecules, made.told)
        return lambda path: write_text(path, text)

    return ready


def _pictures(made: _Written, labels: NDArray[Any] | None) -> Put:
    check_pixels(state.event_shape(made.x), made.levels, made.value_range)
    x = pixels(made.x)
    names = names_of_pictures(labels, len(x))
    return lambda path: write_pictures(path, x, names)


WRITERS: dict[str, Callable[[_Written, NDArray[Any] | None], Put]] = {
    **{suffix: _table(suffix) for suffix in TABLES},
    **{suffix: _arrays(suffix) for suffix in ARRAYS},
    **{suffix: _store(suffix) for suffix in STORES},
    ".npy": _npy,
    **dict.fromkeys(FASTA, _texts),
    **{suffix: _molecules(suffix) for suffix in _MOLECULES},
    "": _pictures,
}
"""What makes ready to write, by the suffix of the file."""
