"""`--given-file` for functions: what is drawn, and how likely it is, given known values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.data import Data
from pushforward.data.function_format import FunctionFormat
from pushforward.data.set_columns import typed_told
from pushforward.errors import InputError

__all__ = ["completed", "contexts"]

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
) -> tuple[Tensor, Any, dict[str, NDArray[Any]]]:
    """`n` draws of each function of a file whose empty values are drawn given the others.

    By a `FunctionDiffusion` that learned it; of other models by `guidance.MMPS` in coordinates in
    which the noise is white: exact for Gaussian processes. The given values come out as they are.
    Beside the draws, their labels if there are any, and columns: what they were told, and of a long
    table which function each is of, and the number of the draw of several.

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
    from pushforward.report.judging import conditions

    data = load_like(run, str(place), model)
    if not bool(data.x.isnan().any()):
        raise InputError(f"--given-file {place}: nothing is missing there, so nothing to draw")
    known, c = data.schema.functions, conditions(model, data, slice(None))
    assert known is not None
    names = _told(known, n)
    if data.schema.given and data.c is not None:
        told = typed_told(data.c.double(), data.schema.given)
        names |= {name: np.repeat(values, n) for name, values in told.items()}
    codes = c.repeat_interleave(n) if data.schema.label is not None and c is not None else None
    if hasattr(model, "infill"):
        each = None if c is None else c.repeat_interleave(n, 0)
        whole = data.x.repeat_interleave(n, 0)
        return model.infill(whole, each, seed=seed, steps=steps, progress=progress), codes, names
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
        values = mask(x.unsqueeze(0))[0]
        options = {"iterations": max(8, min(len(values), _MOST))}
        own = None if c is None else c[k]
        post = model.posterior(values, mask, noise, "mmps", c=own, **options)
        drawn = post.sample(n, seed=derived_seed(seed, k), steps=steps)
        out.append(torch.where(mask.observed, x.to(drawn), drawn))
        if progress is not None:
            progress(k + 1, len(data.x))
    return torch.cat(out), codes, names


def contexts(run: Path, place: Path | None, model: Any, targets: Data) -> Tensor | None:
    """The known values of each of some functions, NaN elsewhere, for densities given these.

    Those of a table with a row for each function are in the same order as the `targets`; in one
    with a row for each value they have the same names. Functions without a row there are given
    nothing. Raises `InputError` for data that are no functions, and for functions of another table.
    """
    from pushforward.cli.rundata import load_like

    if place is None:
        return None
    known = targets.schema.functions
    if known is None:
        raise InputError(
            f"--given-file {place}: {run} was not trained on functions, whose values can be given"
        )
    data = load_like(run, str(place), model, False)
    found = data.schema.functions
    assert found is not None
    if known.form != "long":
        if len(data) != len(targets):
            raise InputError(
                f"--given-file {place} has {len(data)} functions, and DATA {len(targets)}: a row "
                "of one belongs to that of the other"
            )
        return data.x
    odd = sorted(set(found.ids) - set(known.ids))
    if odd:
        raise InputError(f"--given-file {place}: DATA have no {known.id} {odd[0]}")
    x = torch.full_like(targets.x, torch.nan)
    x[[known.ids.index(name) for name in found.ids]] = data.x.to(x)
    return x


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
