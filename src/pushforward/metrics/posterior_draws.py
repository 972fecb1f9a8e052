"""What every check of calibration asks of pairs and of posterior draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import InputError
from pushforward.metrics._points import checked

__all__ = ["coordinates", "posterior_draws", "true_parameters", "vector_observations"]

_MOST_COORDINATES = 32
_PROJECTIONS = 16


def true_parameters(theta: Tensor) -> Tensor:
    """Parameters of the pairs, `(m, *event)`, as `(m, d)` in double precision."""
    return checked(theta, "theta", 2).to("cpu", torch.float64)


def posterior_draws(theta: Tensor, draws: Tensor) -> Tensor:
    """Draws `(L, m, *event)` for parameters `(m, *event)`, as `(L, m, d)` in double precision.

    Raises `InputError` for another shape, or draws that are not finite.
    """
    if not isinstance(draws, Tensor) or draws.shape[1:] != theta.shape or len(draws) < 1:
        shape = tuple(draws.shape) if isinstance(draws, Tensor) else type(draws).__name__
        raise InputError(
            f"posterior draws have shape (draws, *{tuple(theta.shape)}), as the parameters "
            f"have, not {shape}"
        )
    flat = draws.detach().reshape(len(draws), len(theta), -1).to("cpu", torch.float64)
    lost = int((~flat.isfinite().all(-1)).sum())
    if lost:
        raise InputError(
            f"{lost} of {len(draws) * len(theta)} posterior draws hold NaN or infinity: without "
            "them the ranks would look right, so the sampler has to be mended first"
        )
    return flat


def vector_observations(y: Any, m: int) -> Tensor:
    """Observations of `m` pairs as `(m, k)` in double precision, their parts next to each other.

    Raises `InputError` for another number of rows, or values that are not finite.
    """
    if state.rows(y) != m:
        raise InputError(f"{m} pairs have as many observations, not {state.rows(y)}")
    parts = [checked(part, "y", 1).to("cpu", torch.float64) for part in state.leaves(y)]
    return torch.cat(parts, 1)


def coordinates(
    theta: Tensor, draws: Tensor, seed: int, names: Sequence[str] = ()
) -> tuple[list[str], Tensor, Tensor]:
    """The numbers of a parameter that are ranked one by one: names, `(k, m)` and `(k, L, m)`.

    Each coordinate, with its own of the `names` if there are as many, or sixteen random projections
    where there are more than 32 of them.

    >>> names, truth, _ = coordinates(torch.zeros(5, 2).double(), torch.zeros(9, 5, 2).double(), 0)
    >>> names, truth.shape
    (['theta[0]', 'theta[1]'], torch.Size([2, 5]))
    """
    d = theta.shape[1]
    if d <= _MOST_COORDINATES:
        own = list(names) if len(names) == d else [f"theta[{k}]" for k in range(d)]
        return own, theta.mT, draws.permute(2, 0, 1)
    generator = torch.Generator().manual_seed(seed)
    axes = torch.randn(d, _PROJECTIONS, generator=generator, dtype=torch.float64) / d**0.5
    own = [f"projection {k}" for k in range(_PROJECTIONS)]
    return own, (theta @ axes).mT, (draws @ axes).permute(2, 0, 1)
