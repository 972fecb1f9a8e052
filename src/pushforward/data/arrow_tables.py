"""The rows of a text table read by Apache Arrow, as the standard library would read them.

Every column is read as float64, which Arrow rounds correctly as Python does, or as words, for
labels and for booleans. Where Arrow refuses, or might read something else, there is no result: the
reader of `tables` then reads the rows, or names what is wrong with them. Ends of lines within
quoted cells are such a case where they fall between two blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pushforward.data.cells import Cells, truth

__all__ = ["TableRows", "read_rows"]

_BLOCK = 1 << 20


class TableRows(NamedTuple):
    """Rows of a table.

    Args:
        x: the numbers `(N, k)`, NaN where missing.
        labels: the text of the labels `(N,)`, or `None`.
        words: the two words of each column of booleans; empty for the others.
    """

    x: NDArray[np.float64]
    labels: NDArray[Any] | None
    words: list[tuple[str, ...]]


def read_rows(
    file: BinaryIO,
    first: Sequence[str],
    columns: Sequence[int],
    label: int | None,
    cells: Cells,
    mark: str,
    encoding: str,
) -> TableRows | None:
    """The rows of a file whose next line is a row with the cells `first`; `None` if Arrow fails.

    `columns` and `label` are positions of the cells to read, `mark` stands between them.
    """
    utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))
    if cells.thousands is not None or cells.start is not None or wide:
        return None
    truths = {i: truth(first[i]) for i in columns if cells.is_text(first[i])}
    if None in truths.values() or find_spec("pyarrow") is None:
        return None
    import pyarrow
    from pyarrow import csv

    words = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    kinds = {str(i): words if i in truths else pyarrow.float64() for i in columns}
    if label is not None:
        kinds[str(label)] = pyarrow.string()
    try:
        table = csv.read_csv(
            file,
            csv.ReadOptions(
                column_names=[str(i) for i in range(len(first))],
                block_size=_BLOCK,
                encoding="utf8" if utf8 else encoding,
            ),
            csv.ParseOptions(delimiter=mark),
            csv.ConvertOptions(
                column_types=kinds,
                include_columns=list(kinds),
                null_values=list(cells.spellings()),
                strings_can_be_null=False,
                decimal_point=cells.decimal,
            ),
        )
    except (pyarrow.ArrowException, ValueError, LookupError):
        return None
    spelled: list[tuple[str, ...]] = [()] * len(columns)
    x = np.empty((len(table), len(columns)))
    plain = [k for k, i in enumerate(columns) if i not in truths]
    _fill(x, plain, table.select([str(columns[k]) for k in plain]), cells)
    for k, i in enumerate(columns):
        if i in truths:
            read = _truths(table.column(str(i)).combine_chunks(), cells)
            if read is None:
                return None
            x[:, k], spelled[k] = read
    if not len(x) or bool(np.isnan(x).all(1).any()):
        # A line of nothing but commas is blank, one of missing values is not.
        return None
    labels = None
    if label is not None:
        labels = np.array([text.strip() for text in table.column(str(label)).to_pylist()])
    return TableRows(x, labels, spelled)


def _fill(x: NDArray[np.float64], places: list[int], table: Any, cells: Cells) -> None:
    """Put the columns of a table in their places, some rows at a time, which stay in the cache."""
    start = 0
    for batch in table.to_batches() if places else ():
        some = np.stack([column.to_numpy(zero_copy_only=False) for column in batch.columns], -1)
        x[start : start + len(some), places] = cells.without_codes(some)
        start += len(some)


def _truths(column: Any, cells: Cells) -> tuple[NDArray[np.float64], tuple[str, str]] | None:
    """A column of words as 0 and 1, and the two words; `None` for others."""
    values, pairs = [], set()
    for word in column.dictionary.to_pylist():
        found = truth(word)
        if found is not None:
            values.append(found[0])
            pairs.add(found[1])
        elif not cells.is_text(word) and math.isnan(cells.number(word)):
            values.append(math.nan)
        else:
            return None
    if len(pairs) != 1:
        return None
    return np.array(values)[column.indices.to_numpy()], pairs.pop()
