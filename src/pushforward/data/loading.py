"""One door for all data: `load`."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from pushforward import registry, state
from pushforward.data import formats
from pushforward.data.arrays import given_labels, read_named
from pushforward.data.columns import Wanted
from pushforward.data.dataset import Data
from pushforward.data.declared import require_room
from pushforward.data.fields import reading_fields
from pushforward.data.formats import refuse
from pushforward.data.functions import reading_functions
from pushforward.data.given import reading_given
from pushforward.data.images import read_folder
from pushforward.data.in_memory import read_object
from pushforward.data.labels import encode
from pushforward.data.level_checks import range_of
from pushforward.data.markov_letters import alphabet_of
from pushforward.data.matching import matched
from pushforward.data.mixed_tables import reading_kinds
from pushforward.data.molecule_files import reading_molecules
from pushforward.data.places import existing, refuse_run
from pushforward.data.raw import Raw, assemble, counted, from_memory, in_space
from pushforward.data.schema import Schema
from pushforward.data.sets import reading_sets
from pushforward.data.space_names import reading_space_names
from pushforward.data.texts import reading_texts
from pushforward.errors import InputError

__all__ = ["load"]

Options = dict[str, Any]


@reading_space_names
@reading_sets
@reading_functions
@reading_fields
@reading_molecules
@reading_texts
@reading_kinds
@reading_given
def load(
    source: Any,
    *,
    space: Any = None,
    like: Data | Schema | None = None,
    name: str | None = None,
    label: bool | str | Any = None,
    n: int | None = None,
    seed: int | None = None,
    key: str | None = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    missing: Sequence[str | float] | str | float | None = None,
    since: str | None = None,
    encoding: str | None = None,
    skip: int | Sequence[int] | None = None,
    size: int | Sequence[int] | None = None,
    channels: int | None = None,
    kind: str | None = None,
    layout: Literal["HWC", "CHW"] | None = None,
    levels: int | None = None,
    value_range: Sequence[float] | None = None,
    drop_nonfinite: bool = False,
    double: bool = False,
    given: Sequence[str] | str | None = None,
    coordinates: str | None = None,
    project: bool = False,
    window: int | None = None,
    alphabet: str | None = None,
    kinds: str | Mapping[str, str] | None = None,
    variables: Sequence[str] | str | None = None,
    rows: Sequence[str] | str | None = None,
    periodic: Sequence[str] | str | None = None,
    weights: str | None = None,
    means: str | None = None,
    lazy: bool | None = None,
    forecast: str | None = None,
    patches: str | None = None,
    id: str | None = None,
    marks: Sequence[str] | str | None = None,
) -> Data:
    """Data from a built-in name, a file, a folder of images, an array, or a PyTorch `Dataset`.

    Numbers become float32, integers and float64 included, in the units they came in; unless float32
    would blur a column, moving one of its values by more than 1/4000 of the column's standard
    deviation, as it does with seconds since 1970: then all are float64. Arrays
    `(N,)` become `(N, 1)`. Rows of shape `(C, H, W)` or `(H, W, C)` with 1, 3 or 4 channels are
    images, and so are 8-bit rows `(H, W)` and rows with two equal large sides; `kind` and `layout`
    overrule this. Labels are values, which are numbered in sorted order: label `k` stands for
    `Data.classes[k]`.

    Args:
        source: a name of `pushforward list data`; the path of a file of one of the
            `pushforward.data.formats`, of molecules, of a Zarr store, or of a folder of images with
            or without one subfolder per class; an array, a tensor, a nested list, a pandas data
            frame; a dictionary of columns, read as a data frame of them, or of larger arrays, read
            as an `.npz` of them; a pair `(x, y)` of data and their labels; a list of dictionaries;
            a `Dataset` of `x`, `(x, label)` or dictionaries; a data set of Hugging Face, of numbers
            or with a column of pictures or arrays; an `xarray.DataArray` or `Dataset`; `Data`.
        space: what the data are states of, one of `pushforward.spaces` or its name, `"sphere"`:
            tables and arrays go through its `from_arrays`, and so do arrays of an `.npz` that make
            states together, such as `x` and `mask`; without one, everything becomes float32. In
            memory, states of several parts are a tuple, or arrays by name.
        like: the data that a model was trained on, or their schema: columns are found by their
            names and put in that order, and labels get the codes that they have there. A column of
            labels may be missing, others are left out; what has no names is matched by position.
        name: what reports call the data; by default the built-in one or that of the file.
        label: the column of labels of a table or an `(N, d)` array, by name or number from 0; the
            array of labels in a file of several (`c`, `y` or `labels` by default); for data in
            memory, the labels themselves, `(N,)`. A data set of Hugging Face has its only
            `ClassLabel` by default. `False` leaves labels out; `True` labels the points of a toy
            distribution by the part that they came from.
        n: how many points to draw from a toy distribution, 10000 by default; how many rows of a
            stream, an `IterableDataset`, or of molecules, to read from its start.
        seed: of the toy distribution, 0 by default.
        key: which array of a dictionary, or of a file of several (`.npz`, `.mat`, `.h5`, `.nc`), is
            the data, `x` or the only one by default; which sheet of a workbook, or the first.
        columns: which columns of a table to learn from, by name, number or range (`"1:"`); all but
            the label by default.
        header: whether the first line of a text table names its columns; by default as it reads.
        decimal: the decimal mark of a text table, `"."` by default.
        thousands: what groups the digits of numbers in a text table, such as `","`.
        missing: texts and numbers that mean a missing value, such as `"?"` or `[-999, "#N/A"]`;
            empty cells, `NA`, `N/A`, `null`, `none` and `nan` always do.
        since: a day such as `"2000-01-01"`: dates of a table become days since then.
        encoding: of a text table, `"cp1252"` for example; UTF-8 by default.
        skip: how many lines at the top of a text table or a sheet to leave out, titles for example;
            or the numbers of lines, counted from 1: `[2]` for units below the names.
        size: crop and resize images to `size x size` or `(height, width)` pixels.
        channels: read images as gray (1) or RGB (3).
        kind: `"vector"` or `"image"`; or `"text"`, `"lines"` or `"fasta"` for a file or a folder of
            texts, where a `.txt` of words is a text by default; or `"functions"`, values at points
            (`reading_functions`).
        layout: `"HWC"` or `"CHW"`, of pictures in an array; by default what is plausible (`notes`).
        levels: how many equally spaced values from `value_range[0]` to `value_range[1]` the data
            can take, for data that is discrete. 8-bit arrays and images have 256.
        value_range: the smallest and largest possible value.
        drop_nonfinite: leave out rows with missing, NaN or infinite values, and count them in
            `Data.dropped`; by default they are an error.
        double: float64 in any case, for a model of data that float32 cannot carry.
        given: the columns of a table that are contexts, by name: a model learns the distribution of
            the others given these. One of words becomes one column of 0 and 1 for each word.
        coordinates: what the columns of a table are that become states, `"latitude-longitude"` or
            `"degrees"` for example: see `spaces.coordinates.parse`. Without it, columns named
            latitude and longitude, azimuth and altitude, x, y and z, or qw, qx, qy and qz are what
            they say.
        kinds: `"auto"` learns the columns of a table together whatever they are: numbers, counts,
            dates, booleans, words, and missing cells, as `kinds.found_kind` tells them; or the
            kinds of some, such as `{"zip": "category"}`. `reading_kinds` does that.
        project: take the nearest point for coordinates that are off the manifold, such as
            quaternions of another length; by default they are an error.
        window: how many symbols of a text make a state: 128 of a long text; shorter lines and
            records are followed by an end symbol, up to the longest by default.
        alphabet: what the symbols of texts are, `"characters"`, `"bytes"` or `"byte-pairs"` (1024
            of them; `"byte-pairs-512"` says how many); `"upper"` is without case.
        variables: which variables of a store of fields to learn, by name; by default all that lie
            on the same dimensions. `reading_fields` does this and what follows.
        rows: the dimensions of a store whose entries are rows, `time` or the like by default.
        periodic: dimensions whose ends meet, by default longitudes all around and those with a true
            attribute `periodic`; an empty text for none.
        weights: of cells in losses: `"latitude"`, the area of its bands, which is the default where
            there is one, or `"none"`.
        means: `"apart"` scales the spatial means of fields and the deviations from them apart.
        lazy: read rows of a store as they are needed, by default from 1 GiB on.
        forecast: `"20:8"`, the next 8 frames given 20, for windows of a series in time; `"20:1-8"`
            makes a row of each of these, whose context says which.
        patches: `"32:8"`, patches of 32 x 32 cells of a large domain as rows, of which neighbors
            share 8 cells; `"32x48:8"` with other sides (`in_patches`).
        id: of points of sets (`reading_sets`), or values of functions, one in each row, the column
            that says which set or function it is of.
        marks: which columns of numbers are kinds of the points of sets.

    Raises `InputError` for what cannot be read or downloaded, naming the file, row, column and
    value; and `MissingExtraError` where reading needs a package that is not installed.

    >>> print(load("8gaussians", n=1000, seed=1))
    8gaussians: 1000 vectors of 2
    >>> print(load([[0.0, 1.0], [2.0, 3.0]], label=[0, 1], name="pair"))
    pair: 2 vectors of 2, 2 classes
    """
    special: Options = {
        "n": n,
        "seed": seed,
        "key": key,
        "columns": columns,
        "header": header,
        "decimal": decimal,
        "thousands": thousands,
        "missing": missing,
        "since": since,
        "given": given,
        "encoding": encoding,
        "skip": skip,
        "size": size,
        "channels": channels,
    }
    own = {option: value for option, value in special.items() if value is not None}
    if like is not None:
        if columns is not None:
            raise InputError("columns= and like= both choose the columns: leave columns= out")
        own["columns"] = Wanted(like if isinstance(like, Schema) else like.schema)
    general: Options = {
        "kind": kind,
        "layout": layout,
        "levels": levels,
        "value_range": range_of(value_range),
        "drop_nonfinite": drop_nonfinite or None,
        "double": double or None,
        "coordinates": coordinates,
        "project": project or None,
    }
    general = {option: value for option, value in general.items() if value is not None}
    data = _read(source, space, name, label, own, general)
    if like is None:
        return data
    shape = like.event_shape if isinstance(like, Data) else None
    return matched(data, own["columns"], shape)


def _read(
    source: Any, space: Any, name: str | None, label: Any, given: Options, general: Options
) -> Data:
    """Data from anywhere, with the options of its format and those of all formats."""
    double = "double" in general
    if isinstance(source, Data):
        placing = {key: general.pop(key) for key in ("coordinates", "project") if key in general}
        general.pop("double", None)
        known = _renamed(source, name, label, given | general)
        if double:
            known = dataclasses.replace(known, x=state.to(known.x, dtype=torch.float64))
        return in_space(known, space, double=double, **placing)
    if isinstance(source, str) and source in registry.names("data"):
        data, place = _built_in(source, name, label, given, general), source
        data = data if space is None else in_space(data, space, double=double)
    elif isinstance(source, (str, os.PathLike)):
        path = existing(source)
        if path.is_dir():
            refuse({k: v for k, v in general.items() if k == "layout"}, (), "a folder of images")
        raw = _read_path(path, label, given, () if space is None else space.arrays)
        data = assemble(raw, name=name or formats.stem(path), space=space, **general)
        place = str(path.resolve())
    elif space is not None and _is_tree(source):
        refuse(given | general, ("double",), "states in memory")
        labels = given_labels(label, "the states")
        return from_memory(source, labels, space, name or "states", double=double)
    else:
        parts = isinstance(source, Mapping) and _is_state(source, space)
        raw = read_named(source, label) if parts else read_object(source, label, given)
        return assemble(raw, name=name or raw.source.removeprefix("the "), space=space, **general)
    named = {
        option: value for option, value in (("name", name), ("label", label)) if value is not None
    }
    chosen = given.get("columns")
    if isinstance(chosen, Wanted):
        # The names alone read it again.
        given = {**given, "columns": list(data.columns) or None}
    options = {option: given[option] for option in given if option != "given"}
    return dataclasses.replace(data, origin={"source": place, **named, **options, **general})


def _renamed(data: Data, name: str | None, label: Any, options: Options) -> Data:
    refuse(options, (), "data that is loaded already")
    if label is not None and label is not False:
        raise InputError(f"label={label!r}: {data.name} is loaded already; build Data(x, c) anew")
    if label is False:
        plain = dataclasses.replace(data.schema, label=None, classes=(), given=(), given_at=())
        data = dataclasses.replace(data, c=None, schema=plain)
    return data if name is None else dataclasses.replace(data, name=name)


def _built_in(name: str, alias: str | None, label: Any, given: Options, general: Options) -> Data:
    if label is not None and not isinstance(label, bool):
        raise InputError(f"label={label!r}: for built-in data, label is True or False")
    refuse(general, (), f"the built-in {name}")
    # The columns of `like` are matched afterwards, those of `given=` refused there.
    given = {k: v for k, v in given.items() if k != "given" and not isinstance(v, Wanted)}
    make = registry.find("data", name)
    taken = inspect.signature(make).parameters
    if "size" in taken:
        refuse(given, ("n", "seed", "size"), f"the built-in {name}")
        if label is True and "labels" not in taken:
            raise InputError(f"{name} has no labels: leave label out")
        labeled = {"labels": label is not False} if "labels" in taken else {}
        return dataclasses.replace(make(**given, **labeled), name=alias or name)
    if "generator" not in taken:
        refuse(given, (), f"the built-in {name}")
        found = make(labels=label is not False)
        ready = assemble if isinstance(found, Raw) else load
        return ready(found, name=alias or name)
    refuse(given, ("n", "seed"), f"the toy distribution {name}")
    n, seed = given.get("n", 10_000), given.get("seed", 0)
    if type(n) is not int or n < 2:
        raise InputError(f"n is the number of points to draw, at least 2, not {n!r}")
    if type(seed) is not int:
        raise InputError(f"seed is a whole number, not {seed!r}")
    require_room((n, 2), "float32", f"{name}(n={n})")
    x, part = make(n, torch.Generator().manual_seed(seed))
    if label is True and part is None:
        raise InputError(f"{name} has no parts to label its points by: leave label out")
    place = f"{name}(n={n}, seed={seed})"
    if label is not True:
        own = Schema(alphabet=alphabet_of(name))
        return Data(x, name=alias or name, source=place, schema=own)
    c, classes = encode(part.numpy(), place, counted)
    return Data(x, c, name=alias or name, source=place, schema=Schema(classes=classes))


def _read_path(path: Path, label: Any, given: Options, parts: Sequence[str]) -> Raw:
    if path.is_dir():
        refuse_run(path)
        refuse(given, ("size", "channels"), "a folder of images")
        pictures = {option: given[option] for option in ("size", "channels") if option in given}
        return read_folder(path, label, **pictures)
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder")
    known = formats.of(path)
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty")
    try:
        return known.read(path, label, formats.options_of(known, given), parts)
    except PermissionError:
        raise InputError(f"{path} may not be read by this user: change its permissions") from None


def _is_tree(source: Any) -> bool:
    """Whether something in memory is states of several parts, a tuple of tensors."""
    return isinstance(source, tuple) and all(
        isinstance(part, torch.Tensor) or _is_tree(part) for part in source
    )


def _is_state(arrays: Mapping[Any, Any], space: Any) -> bool:
    """Whether arrays by name are the parts that states of a space have, and not columns."""
    several = space is not None and len(space.arrays) > 1
    return several and set(space.arrays) <= set(arrays)
