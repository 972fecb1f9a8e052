"""`sample --given-file` for functions: known values are kept, all others are drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data.function_format import FunctionFormat
from pushforward.errors import InputError

__all__ = ["completed"]

_DRAW = "draw"
"""The column that tells draws of the same function apart."""

_LEVEL = 0.01
"""Of the noise that given values are taken to have, in standard deviations of their channel."""

_MOST = 64
"""Given values of a function for which the system of the guidance is solved exactly."""


def completed(
    run: Path,
    model: Any,
    place: Path,
    n: int,
    *,
    seed: int,
    steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Tensor, dict[str, NDArray[Any]]]:
    """`n` draws of each function of a file whose empty values are drawn given the others.

    By `guidance.MMPS` in coordinates in which the noise is white: exact for Gaussian processes. The
    given values come out as they are. Beside the draws, the columns of a long table that say which
    function each is of, and the number of the draw of several.

    Args:
        run: the run, or a saved model.
        model: its model.
        place: a file in the form of the training data, with values missing.
        n: how many draws of each function, one after the other.
        seed: of the draws.
        steps: of the sampler.
        progress: called with the number of functions that are done, and of all.

    Raises `InputError` for functions on another grid, and `CapabilityError` for a model that cannot
    be conditioned.
    """
    from pushforward._row_noise import derived_seed
    from pushforward.cli.rundata import load_like
    from pushforward.inverse import GaussianNoise, Mask

    data = load_like(run, str(place), model, False)
    if not bool(data.x.isnan().any()):
        raise InputError(f"--given-file {place}: nothing is missing there, so nothing to draw")
    scale = model.known_units(data.x).scale
    if len(scale) > 1 and float(scale.max()) > 100 * float(scale.min()):
        raise InputError(
            f"--given-file {place}: the channels have scales of {float(scale.min()):g} to "
            f"{float(scale.max()):g}, which one level of noise does not fit: rescale them"
        )
    noise = GaussianNoise(_LEVEL * float(scale.min()))
    out = []
    for k, x in enumerate(data.x):
        mask = Mask.missing(x)
        known = mask(x.unsqueeze(0))[0]
        options = {"iterations": max(8, min(len(known), _MOST))}
        post = model.posterior(known, mask, noise, "mmps", **options)
        drawn = post.sample(n, seed=derived_seed(seed, k), steps=steps)
        out.append(torch.where(mask.observed, x.to(drawn), drawn))
        if progress is not None:
            progress(k + 1, len(data.x))
    found = data.schema.functions
    assert found is not None
    return torch.cat(out), _told(found, n)


def _told(known: FunctionFormat, n: int) -> dict[str, NDArray[Any]]:
    """The names of the functions of a long table, `n` times each, and which draw of it each is."""
    if known.form != "long":
        return {}
    ids = known.ids
    names = np.array(ids, dtype=object)
    if all(name.isdecimal() and str(int(name)) == name for name in ids):
        names = names.astype(np.int64)
    told = {str(known.id): np.repeat(names, n)}
    if n > 1:
        if _DRAW in known.columns:
            raise InputError(
                f"-n {n}: the draws of a function are told apart in a column {_DRAW!r}, and the "
                "data have one of that name: draw once, with other --seed"
            )
        told[_DRAW] = np.tile(np.arange(n), len(ids))
    return told
