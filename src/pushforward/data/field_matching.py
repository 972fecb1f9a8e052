"""Other fields for the same model: variables by name, dimensions by name, in the same units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pushforward.data.columns import closest, listed
from pushforward.data.field_choice import Asked, chosen_format
from pushforward.data.field_format import FieldFormat
from pushforward.errors import InputError

__all__ = ["as_known", "as_target", "on_own_grid"]

_CLOSE = 1e-3
"""How far coordinates may be from those of the model, over the width of a cell."""

_LEARNED = "the model was trained on"
_TARGET = "the target has"
"""Whose format it is that others have to match, in the sentences of errors."""


def as_known(
    store: Any,
    where: str,
    known: FieldFormat,
    rows: Sequence[str] | None = None,
    whose: str = _LEARNED,
) -> tuple[FieldFormat, list[str]]:
    """The format of fields for a model, in a store that may hold its variables in another order of
    dimensions, beside others; and what to know of it, a sentence each.

    Raises `InputError` for variables or dimensions that are not there, other sizes, other units and
    other coordinates.
    """
    found = _of_variables(store, where, known, rows, whose)
    for name, size in zip(known.dims, known.sizes, strict=True):
        if int(store.sizes[name]) != size:
            way = "cut out that domain, or train on this one" if whose == _LEARNED else (
                "give fields on its grid"
            )  # fmt: skip
            raise InputError(
                f"{where} has {int(store.sizes[name])} cells along {name}, and {whose} {size}: "
                f"{way}"
            )
    notes = [_moved(name, found, known, where, whose) for name in known.dims]
    notes += _of_levels_and_units(found, known, where, whose)
    return replace(known, rows=found.rows), [note for note in notes if note]


def as_target(
    store: Any, where: str, known: FieldFormat, rows: Sequence[str] | None = None
) -> tuple[FieldFormat, list[str]]:
    """`as_known` for fields of a target, without a model that was trained on them."""
    return as_known(store, where, known, rows, _TARGET)


def on_own_grid(
    store: Any, where: str, known: FieldFormat, rows: Sequence[str] | None = None
) -> tuple[FieldFormat, list[str]]:
    """The format of the variables of a target on the grid that they have in the store.

    Raises `InputError` as `as_known` does, but for sizes and coordinates.
    """
    found = _of_variables(store, where, known, rows, _TARGET)
    sizes = tuple(int(store.sizes[name]) for name in known.dims)
    own = replace(known, rows=found.rows, sizes=sizes, coordinates=found.coordinates, mask=None)
    return own, _of_levels_and_units(found, known, where, _TARGET)


def _of_variables(
    store: Any, where: str, known: FieldFormat, rows: Sequence[str] | None, whose: str
) -> FieldFormat:
    """The format of known variables as they are in a store, in the same units."""
    for variable in known.variables:
        if variable.name not in store.data_vars:
            there = [str(name) for name in store.data_vars]
            raise InputError(
                f"{where} has no variable {variable.name!r}{closest(variable.name, there)}, which "
                f"{whose}; there are {listed(there)}"
            )
    names = tuple(variable.name for variable in known.variables)
    first = store[names[0]]
    own = tuple(known.rows) if rows is None else tuple(rows)
    if not set(own) <= set(first.dims):
        # What was written before has one dimension of rows, and others call theirs otherwise.
        taken = {*known.dims, *(level for v in known.variables for level, _ in v.levels)}
        own = tuple(str(name) for name in first.dims if name not in taken)
    if not own:
        raise InputError(
            f"{where}: {names[0]!r} lies on {listed(first.dims)}, without a dimension of rows: "
            f"give it one, such as expand_dims({known.row_name!r})"
        )
    lacking = [name for name in known.dims if name not in first.dims]
    if lacking:
        raise InputError(
            f"{where}: {names[0]!r} has no dimension {lacking[0]!r} but {listed(first.dims)}, and "
            f"{whose} fields along {listed(known.dims)}: rename it"
        )
    found, _ = chosen_format(store, where, Asked(names, own, (), "none"))
    for mine, its in zip(found.variables, known.variables, strict=True):
        if mine.channels != its.channels:
            raise InputError(
                f"{where}: {mine.name} has {mine.channels} levels, and {whose} {its.channels}"
            )
        if mine.units is not None and its.units is not None and mine.units != its.units:
            raise InputError(
                f"{where}: {mine.name} is in {mine.units}, and {whose} {its.units}: convert it, "
                "and set its attribute `units`"
            )
    return found


def _of_levels_and_units(
    found: FieldFormat, known: FieldFormat, where: str, whose: str
) -> list[str]:
    """A note for each variable that alone has units or alone has none, and each level without
    values, where the known have some.

    Raises `InputError` for levels in another order or of other values.
    """
    notes = []
    for mine, its in zip(found.variables, known.variables, strict=True):
        if mine.levels != its.levels:
            raise InputError(
                f"{where}: the levels of {mine.name} are {listed([n for n, _ in mine.levels])}, "
                f"and {whose} {listed([n for n, _ in its.levels])}: transpose it"
            )
        if mine.units is None and its.units is not None:
            notes.append(f"{where}: {mine.name} says no units: taken for {its.units}")
        if mine.units is not None and its.units is None:
            notes.append(
                f"{where}: {mine.name} is in {mine.units}, and {whose} it without units: taken "
                "for the same"
            )
    levels = {name for variable in known.variables for name, _ in variable.levels}
    moved = (_moved(name, found, known, where, whose) for name in sorted(levels))
    return notes + [note for note in moved if note]


def _moved(name: str, found: FieldFormat, known: FieldFormat, where: str, whose: str) -> str:
    """An `InputError` for a coordinate of other values, a note for one that is not there."""
    mine, its = found.coordinate(name), known.coordinate(name)
    if its is None or its.dims != (name,):
        return ""
    if mine is None:
        return f"{where}: no coordinate {name}: taken for what {whose}"
    a, b = mine.values.array(), its.values.array()
    if a.dtype.kind in "iuf" and b.dtype.kind in "iuf":
        cell = np.abs(np.diff(b.astype(np.float64))).min() if len(b) > 1 else 1.0
        off = float(np.abs(a.astype(np.float64) - b).max())
        if off <= _CLOSE * cell:
            return ""
        ends = f"{a[0]:g} to {a[-1]:g}", f"{b[0]:g} to {b[-1]:g}"
        turned = len(a) > 1 and (a[-1] - a[0]) * (b[-1] - b[0]) < 0
        way = "turn it around" if turned else "bring it to that grid"
        raise InputError(f"{where}: {name} goes from {ends[0]}, and {whose} {ends[1]}: {way}")
    if a.shape == b.shape and bool((a == b).all()):
        return ""
    raise InputError(f"{where}: the values of {name} are not those that {whose}")
