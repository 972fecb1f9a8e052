"""The files that `load` reads: their suffixes, their readers, and the options that these take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pushforward.data.arrays import read_npy
from pushforward.data.columns import Wanted
from pushforward.data.frames import read_arrow, read_json_lines, read_parquet
from pushforward.data.hdf5 import read_hdf5
from pushforward.data.images import SUFFIXES
from pushforward.data.matlab import read_mat
from pushforward.data.members import Chosen, read_npz
from pushforward.data.netcdf import read_netcdf
from pushforward.data.raw import Raw
from pushforward.data.sheets import read_sheet
from pushforward.data.tables import read_table
from pushforward.errors import InputError

__all__ = ["FORMATS", "Format", "of", "options_of", "readable", "refuse", "stem"]

Options = Mapping[str, Any]
Reader = Callable[[Path, Any, Options, Sequence[str]], Raw]


class Format(NamedTuple):
    """A kind of file.

    Args:
        suffixes: the ends of the names of such files, in lower case.
        what: what it is, with its article.
        options: those of `load` that mean something for it, beside those for all data.
        read: the reader; it is given the path, the label, the options, and the names of the parts
            of a state of the space.
        extra: what has to be installed with `pushforward` to read it, if anything.
    """

    suffixes: tuple[str, ...]
    what: str
    options: tuple[str, ...]
    read: Reader
    extra: str | None = None


def _table(read: Callable[..., Raw]) -> Reader:
    return lambda path, label, options, parts: read(path, label, **options)


def _arrays(read: Callable[[Path, Chosen], Raw]) -> Reader:
    def reader(path: Path, label: Any, options: Options, parts: Sequence[str]) -> Raw:
        wanted = options.get("columns")
        own = wanted.schema.label if isinstance(wanted, Wanted) else None
        return read(path, Chosen(options.get("key"), label, parts, own))

    return reader


def _packed(*suffixes: str) -> tuple[str, ...]:
    return (*suffixes, *(f"{suffix}.gz" for suffix in suffixes))


_TYPED = ("columns", "given", "missing", "since")
_TEXT = (
    "columns",
    "given",
    "header",
    "decimal",
    "thousands",
    "missing",
    "since",
    "encoding",
    "skip",
)

FORMATS = (
    Format(_packed(".csv", ".tsv", ".txt", ".dat"), "a text table", _TEXT, _table(read_table)),
    Format(
        (".xlsx",), "a spreadsheet", (*_TYPED, "header", "key", "skip"),
        _table(read_sheet), "data",
    ),
    Format((".parquet",), "a parquet file", _TYPED, _table(read_parquet), "data"),
    Format((".feather", ".arrow"), "a file of Arrow", _TYPED, _table(read_arrow), "data"),
    Format(
        _packed(".jsonl", ".ndjson"), "a file of JSON lines", _TYPED, _table(read_json_lines),
        "data",
    ),
    Format((".npy",), "an .npy file", (), lambda path, label, *_: read_npy(path, label)),
    Format((".npz",), "an .npz file", ("key",), _arrays(read_npz)),
    Format((".mat",), "a .mat file", ("key",), _arrays(read_mat), "formats"),
    Format((".h5", ".hdf5"), "an HDF5 file", ("key",), _arrays(read_hdf5), "formats"),
    Format((".nc",), "a NetCDF file", ("key",), _arrays(read_netcdf), "formats"),
)  # fmt: skip


_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "columns": (
        (str, int, np.integer, list),
        "a name, number or range of columns, or a list of these",
    ),
    "header": ((bool,), "True or False"),
    "missing": ((str, int, float, list), "a text or number that means a gap, or a list of these"),
    "encoding": ((str,), "the name of an encoding such as 'cp1252'"),
    "skip": ((int, list), "how many lines to leave out, or the numbers of lines from 1"),
    "key": ((str,), "the name of an array or a sheet"),
}
"""What the values of options are, `list` where several may be given, and in words."""


def readable() -> str:
    """What can be read, in words.

    >>> readable().endswith(".nc, or a folder of images")
    True
    """
    plain = [s for known in FORMATS for s in known.suffixes if not s.endswith(".gz")]
    return f"{', '.join(plain)}, or a folder of images"


def of(path: Path) -> Format:
    """The format of a file. Raises `InputError` for files that are not read.

    >>> of(Path("table.csv.gz")).what
    'a text table'
    """
    name = path.name.lower()
    for known in FORMATS:
        if name.endswith(known.suffixes):
            return known
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        raise InputError(f"{path}: one picture is no data set; give the folder of pictures")
    if suffix in (".pt", ".pth", ".pkl", ".pickle", ".joblib"):
        raise InputError(
            f"{path}: reading a pickle can run code, so {suffix} is not read; save {readable()}"
        )
    if suffix == ".safetensors":
        raise InputError(f"{path}: this is a saved model; open it with pushforward.load(folder)")
    kind = suffix or "a file without a suffix"
    raise InputError(f"{path}: {kind} is not read; these are: {readable()}")


def stem(path: Path) -> str:
    """The name of a file without the suffix of its format.

    >>> stem(Path("runs/table.csv.gz"))
    'table'
    """
    suffixes = (s for known in FORMATS for s in known.suffixes if path.name.lower().endswith(s))
    longest = max(suffixes, key=len, default="")
    return path.name[: -len(longest)] if longest else path.stem


def options_of(known: Format, given: Options) -> dict[str, Any]:
    """The options that the reader of a format takes, after a check of all that are given."""
    refuse(given, known.options, known.what)
    for option, value in given.items():
        kinds, what = _KINDS.get(option, ((object,), ""))
        listed = value if isinstance(value, (list, tuple)) and list in kinds else [value]
        fits = all(isinstance(item, kinds) and isinstance(item, bool) == (bool in kinds)
                   for item in listed)  # fmt: skip
        if not fits and not isinstance(value, Wanted):
            raise InputError(f"{option} is {what}, not {value!r}")
    return {o: v for o, v in given.items() if o in known.options or isinstance(v, Wanted)}


def refuse(options: Options, known: Sequence[str], what: str) -> None:
    """An `InputError` for options that mean nothing for this kind of source.

    Whether there are columns that can be `given` is seen when all are read.
    """
    own = {*known, "given"}
    odd = [o for o, v in options.items() if o not in own and not isinstance(v, Wanted)]
    if odd:
        usable = f"; it takes {', '.join(f'{o}=' for o in known)}" if known else ""
        raise InputError(f"{odd[0]}={options[odd[0]]!r} means nothing for {what}{usable}")
