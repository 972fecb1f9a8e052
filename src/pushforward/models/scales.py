"""Which distance a map between two distributions goes by: the scales of its columns."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from pushforward import checks, state
from pushforward.errors import InputError
from pushforward.spaces import Space
from pushforward.spaces.units import Units

__all__ = ["UNEQUAL", "Scale", "fit_to_both", "scale_of", "unequal_columns", "unit_length"]

Scale = Literal["common", "columns"]

UNEQUAL = 10.0
"""The largest scale of a column over the smallest from which one for all will not do."""


def scale_of(value: Any) -> Scale:
    """`common` or `columns`. Raises `InputError` for anything else."""
    found: Scale = checks.one_of("scale", value, ("common", "columns"))
    return found


def unit_length(units: Units, scale: Scale) -> Any:
    """The length that is 1 in states, in the units that lengths are given in."""
    return units.length if scale == "common" else units.own_length


def fit_to_both(units: Units, space: Space, x: Any, source: Any, scale: Scale) -> None:
    """Fit units that target and source share; to the target alone without a source.

    Warns where one scale for all columns loses some. Raises `InputError` for columns that share a
    unit by nature, such as pixels, if each is to have its own.
    """
    if source is None:
        units.fit(x)
        return
    shape = state.event_shape(x)
    if scale == "columns" and space.common_scale(shape):
        raise InputError(
            f"scale='columns' is for columns with units of their own; the entries of "
            f"{space.describe_states(shape)} share one: take scale='common'"
        )
    units.fit(x, source, common=scale == "common")
    for found in unequal_columns(units, x, source, scale):
        warnings.warn(found, stacklevel=3)


def unequal_columns(units: Units, x: Any, source: Any, scale: Scale) -> list[str]:
    """What is wrong with one scale for all columns of some data, in a sentence; mostly nothing."""
    if source is None or scale == "columns" or (spread := units.spread(x, source)) < UNEQUAL:
        return []
    return [
        f"The scales of the columns differ by a factor of {spread:.3g}, and distances are those of "
        "the widest: the narrowest are learned worst. Take scale='columns', or bring the columns "
        "to comparable size."
    ]
