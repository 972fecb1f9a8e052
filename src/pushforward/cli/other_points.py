"""`sample --at`: a model of functions at other points than those of its training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer

from pushforward.cli.rundata import schema_of
from pushforward.data.function_format import FunctionFormat
from pushforward.data.other_grids import cells_of, on_axes, on_points, points_in
from pushforward.errors import InputError
from pushforward.nn import AtPoints
from pushforward.spaces import Spectral

__all__ = ["moved"]


def moved(run: Path, model: Any, at: str) -> tuple[Any, FunctionFormat]:
    """The model at other points, and how functions there are written.

    Args:
        run: the run, or a saved model.
        model: its model.
        at: the number of points of each axis, over the whole domain, or a table of coordinates.

    Spectral noise, which is for whole grids alone, gives way to its kernel elsewhere, which is
    said. Raises `InputError` for a model of other data, or points that do not fit it;
    `CapabilityError` for a network that belongs to its grid.
    """
    from pushforward.models import at_points

    known = schema_of(run).functions
    if known is None:
        raise InputError(f"--at {at}: {run} was not trained on functions, which have points")
    space = model.space
    if not Path(at).is_file():
        axes = cells_of(at, known, space.domain)
        return at_points(model, axes=[axis.tolist() for axis in axes]), on_axes(known, axes)
    places = points_in(Path(at), known)
    each = [np.unique(column) for column in places.T]
    if len(places) > 1 and len(places) == math.prod(map(len, each)) and not known.scattered:
        each = [axis if low < high else axis[::-1]
                for axis, (low, high) in zip(each, space.domain, strict=True)]  # fmt: skip
        where: dict[str, Any] = {"axes": [axis.tolist() for axis in each]}
        made = on_axes(known, each)
    else:
        where = {"points": torch.from_numpy(places)}
        made = on_points(known, places)
    try:
        return at_points(model, **where), made
    except InputError as error:
        if not isinstance(model.predictor.net, AtPoints):
            raise InputError(
                f"--at {at}: the network of this run takes grids of its whole domain alone, and "
                f"{error}"
            ) from None
        if not isinstance(space.noise, Spectral):
            raise
    typer.echo(
        f"note: {at} is no grid of the whole domain: noise there is that of the kernel itself, "
        "which differs from that of the training near the ends",
        err=True,
    )
    return at_points(model, **where, noise=space.noise.kernel), made
