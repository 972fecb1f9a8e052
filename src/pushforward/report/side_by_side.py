"""Two data sets as samples of the same columns, and how they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import state
from pushforward.data import Data, joint
from pushforward.data.columns import listed
from pushforward.data.schema import Column, Value
from pushforward.divergences import SampleComparison
from pushforward.divergences import compare_samples as compared
from pushforward.errors import CapabilityError, InputError

__all__ = ["SideBySide", "compare_samples", "side_by_side"]


class SideBySide(NamedTuple):
    """Two samples of the same columns.

    Args:
        x, y: numbers `(n, d)` and `(m, d)`; kinds have the same code in both.
        columns: the names of the columns; `None` for pictures.
        kinds: which columns hold kinds.
        notes: what was left out, and what was taken for what.
    """

    x: Tensor
    y: Tensor
    columns: tuple[str, ...] | None
    kinds: frozenset[int]
    notes: tuple[str, ...]


def compare_samples(
    first: Data, second: Data, *, space: Any = None, notes: Sequence[str] = (), **options: Any
) -> SampleComparison:
    """All distances of two data sets, and whether they differ: `divergences.compare_samples`.

    Columns are matched by name, labels and words by what they say.

    Args:
        first, second: tables, arrays or pictures; or states of a space.
        space: of which both are states, that are compared by its `features`: places by unit
            vectors, say, so that 179° east is near 179° west.
        notes: what to know of them, said with what is found.
        options: `level`, `permutations`, `max_points` and `seed` of `divergences.compare_samples`.

    Raises `InputError` for data without a column in common or of different shapes, and
    `CapabilityError` for states that are no vectors or pictures.

    >>> from pushforward.data import Data, Schema
    >>> x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    >>> a, b = Data(x, schema=Schema.of("u", "v")), Data(x.flip(1), schema=Schema.of("v", "u"))
    >>> compare_samples(a, b, permutations=99).differ
    False
    """
    both = side_by_side(first, second, space)
    names = (first.name, second.name)
    if names[0] == names[1]:
        names = (first.source, second.source) if first.source != second.source else ("x", "y")
    return compared(
        both.x, both.y, names=names, columns=both.columns, kinds=both.kinds,
        common_scale=both.columns is None, notes=(*notes, *both.notes), **options,
    )  # fmt: skip


def side_by_side(first: Data, second: Data, space: Any = None) -> SideBySide:
    """The columns that both have, in the order of the first, with the labels as a last one; of
    states of a space their features.

    Raises as `compare_samples` does.
    """
    if space is not None:
        return _features(first, second, space)
    if first.schema.mixed is not None and second.schema.mixed is not None:
        return _mixed(first, second)
    # Columns that are given, which may be of words, are columns like others here.
    first, second = joint(first), joint(second)
    for data in (first, second):
        if data.kind == "state" or not isinstance(data.x, Tensor):
            raise CapabilityError(
                f"{data.name} holds {data.words}: vectors and pictures are compared here; in "
                "Python, give the features of its space to divergences.compare_samples"
            )
    if first.kind != second.kind or len(first.event_shape) != len(second.event_shape):
        raise InputError(
            f"{first.name} holds {first.words} and {second.name} {second.words}: both must be alike"
        )
    if len(first.event_shape) > 1:
        return _pictures(first, second)
    notes: list[str] = []
    left, right = _places(first, second, notes)
    tables = [data.x[:, places] for data, places in ((first, left), (second, right))]
    names = [_name(first, k) for k in left]
    kinds: set[int] = set()
    for k, (i, j) in enumerate(zip(left, right, strict=True)):
        own, other = _column(first, i), _column(second, j)
        if own.words or other.words:
            kinds.add(k)
            known = sorted({*own.words, *other.words})
            for table, column in zip(tables, (own, other), strict=True):
                table[:, k] = _coded(table[:, k], column, known, names[k])
    return _with_labels(first, second, tables, names, kinds, notes)


def _features(first: Data, second: Data, space: Any) -> SideBySide:
    """States by what judges see of them."""
    shapes = [state.event_shape(data.x) for data in (first, second)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"{first.name} holds {first.words} and {second.name} {second.words}: both must be alike"
        )
    tables = [space.features(data.x).double() for data in (first, second)]
    columns = () if first.schema.coordinates is None else first.schema.coordinates.columns
    names = space.feature_names(tables[0].shape[1], tuple(column.name for column in columns))
    note = f"both were compared as {space.describe_states(shapes[0])}, by {listed(names)}"
    return _with_labels(first, second, tables, list(names), set(), [note])


def _with_labels(
    first: Data,
    second: Data,
    tables: list[Tensor],
    names: list[str],
    kinds: set[int],
    notes: list[str],
) -> SideBySide:
    """Tables with the labels of both as a last column, where both have some."""
    labels = [_labels(data) for data in (first, second)]
    if labels[0] is not None and labels[1] is not None:
        known = sorted({str(v) for values in labels for v in values or ()})
        codes = {value: code for code, value in enumerate(known)}
        for k, values in enumerate(labels):
            coded = torch.tensor([codes[str(v)] for v in values or ()], dtype=tables[k].dtype)
            tables[k] = torch.cat([tables[k], coded[:, None]], 1)
        kinds.add(len(names))
        names.append(first.schema.label or "label")
    elif labels[0] is not None or labels[1] is not None:
        notes.append("labels were left out, since one of both has none")
    return SideBySide(tables[0], tables[1], tuple(names), frozenset(kinds), tuple(notes))


def _mixed(first: Data, second: Data) -> SideBySide:
    """The columns of two tables of all kinds: numbers, words by what they say, and whether a number
    is missing, in whose place stands the mean of both."""
    values = []
    for data in (first, second):
        assert data.schema.mixed is not None
        values.append(data.schema.mixed.values(data.x))
    notes: list[str] = []
    names: list[str] = []
    kinds: set[int] = set()
    shared = [name for name in values[0] if name in values[1]]
    if not shared:
        raise InputError(f"{first.name} and {second.name} have no column in common")
    for k, data in enumerate((first, second)):
        alone = [name for name in values[k] if name not in values[1 - k]]
        if alone:
            notes.append(f"only {data.name} has {listed(alone)}, left out here")
    columns: list[tuple[Tensor, Tensor]] = []
    for name in shared:
        pair = [own[name] for own in values]
        if all(own.dtype.kind == "f" for own in pair):
            x, y = (torch.from_numpy(own.astype(float)) for own in pair)
            gone = x.isnan(), y.isnan()
            mean = torch.cat([x, y]).nanmean()
            names.append(name)
            columns.append((torch.where(gone[0], mean, x), torch.where(gone[1], mean, y)))
            if bool(gone[0].any() | gone[1].any()):
                kinds.add(len(names))
                names.append(f"{name} missing")
                columns.append((gone[0].double(), gone[1].double()))
            continue
        known = sorted({str(word) for own in pair for word in own})
        codes = {word: float(code) for code, word in enumerate(known)}
        kinds.add(len(names))
        names.append(name)
        x, y = (torch.tensor([codes[str(v)] for v in own]).double() for own in pair)
        columns.append((x, y))
    x, y = (torch.stack([pair[k] for pair in columns], 1) for k in range(2))
    return SideBySide(x, y, tuple(names), frozenset(kinds), tuple(notes))


def _pictures(first: Data, second: Data) -> SideBySide:
    if first.event_shape != second.event_shape:
        raise InputError(
            f"{first.name} holds {first.words} and {second.name} {second.words}: give both one "
            "size with size="
        )
    notes = ("labels were left out",) if first.c is not None or second.c is not None else ()
    return SideBySide(first.x.flatten(1), second.x.flatten(1), None, frozenset(), notes)


def _places(first: Data, second: Data, notes: list[str]) -> tuple[list[int], list[int]]:
    """Which columns of both belong together."""
    if not (first.columns and second.columns):
        sizes = first.x.shape[1], second.x.shape[1]
        if sizes[0] != sizes[1]:
            nameless = second.name if first.columns else first.name
            raise InputError(
                f"{first.name} has {sizes[0]} columns and {second.name} {sizes[1]}, and "
                f"{nameless} has no names to match them by: leave out what only one of both has, "
                "or give the columns names, as a .csv does in its first line"
            )
        if first.columns or second.columns:
            notes.append("columns were matched by position, since one of both has no names")
        return list(range(sizes[0])), list(range(sizes[0]))
    shared = [name for name in first.columns if name in second.columns]
    if not shared:
        raise InputError(
            f"{first.name} and {second.name} have no column in common: {listed(first.columns)} and "
            f"{listed(second.columns)}"
        )
    for data, other in ((first, second), (second, first)):
        alone = [name for name in data.columns if name not in other.columns]
        if alone:
            notes.append(f"only {data.name} has {listed(alone)}, left out here")
    places = [[data.columns.index(name) for name in shared] for data in (first, second)]
    return places[0], places[1]


def _name(data: Data, k: int) -> str:
    return data.columns[k] if data.columns else f"column {k}"


def _column(data: Data, k: int) -> Column:
    return data.schema.columns[k] if data.columns else Column(_name(data, k))


def _coded(values: Tensor, column: Column, known: Sequence[str], name: str) -> Tensor:
    """Words as their places among all words of both."""
    if not column.words:
        raise InputError(
            f"column {name!r} holds words in one of both, such as {known[0]!r}, and numbers in "
            "the other"
        )
    found = torch.full_like(values, -1)
    for level, word in zip(column.levels or (), column.words, strict=True):
        found[values == level] = known.index(word)
    return found


def _labels(data: Data) -> Sequence[Value] | None:
    """The value of each row's label."""
    if data.c is None or not data.classes:
        return None
    return [data.classes[code] for code in data.c.tolist()]
