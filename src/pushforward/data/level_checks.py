"""Whether quantized data lie on the levels that they promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pushforward import state
from pushforward.data.dataset import Data
from pushforward.errors import InputError

__all__ = ["check_levels", "range_of"]

AT_ONCE = 1 << 20  # numbers: all in double precision would fill the memory


def check_levels(data: Data, row: Callable[[int], str]) -> None:
    """Raise `InputError` for the first value outside `value_range` or off the grid of `levels`.

    `row` says how errors name row `i`.
    """
    if data.value_range is None:
        return
    low, high = data.value_range
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"value_range {data.value_range} must be finite")
    rows = max(1, AT_ONCE // state.numel(data.event_shape))
    for start in range(0, len(data.x), rows):
        _check_rows(data, slice(start, start + rows), low, high, row)


def _check_rows(
    data: Data, some: slice, low: float, high: float, row: Callable[[int], str]
) -> None:
    grid = (data.x[some].flatten(1).double() - low) / (high - low)
    bad = (grid < -1e-6) | (grid > 1 + 1e-6)
    what = f"outside value_range ({low:g}, {high:g})"
    if data.levels is not None and not bad.any():
        steps = grid * (data.levels - 1)
        # float32 values such as 37/255 sit beside their level by a rounding error.
        bad = (steps - steps.round()).abs() > 1e-3
        what = f"not one of the {data.levels} levels from {low:g} to {high:g}"
    if bad.any():
        index = int(bad.any(1).int().argmax())
        first = some.start + index
        value = float(data.x[first].flatten()[bad[index]][0])
        raise InputError(
            f"{data.source}, {row(first)} holds {value:g}, {what}: correct levels= and "
            "value_range=, or leave them out"
        )


def range_of(value_range: Sequence[float] | None) -> tuple[float, float] | None:
    """The smallest and the largest value that data can take, as numbers.

    Raises `InputError` for what is no pair of them.
    """
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        raise InputError(f"value_range is (low, high), not {value_range!r}") from None
    return low, high
