"""The fractions skill score: whether rain falls in the neighborhood where it was forecast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from pushforward import checks
from pushforward.errors import InputError
from pushforward.metrics.crps import of_ensemble

__all__ = ["fractions_skill"]


def fractions_skill(
    ensemble: Tensor, truth: Tensor, threshold: float, *, width: int, periodic: bool = False
) -> float:
    r"""`1 - mean (p - o)^2 / (mean p^2 + mean o^2)` of the fractions `p`, `o` of cells above a
    threshold in neighborhoods (Roberts & Lean 2008); 1 is perfect, 0 without any overlap.

    The fraction of an ensemble is the mean of those of its members.

    Args:
        ensemble: `(M, N, C, H, W)`, of one member for a single forecast.
        truth: `(N, C, H, W)`.
        threshold: what counts is above it.
        width: of the square neighborhood, an odd number of cells; zeros lie beyond the edges.
        periodic: whether the neighborhood goes on at the other end.

    Raises `InputError` for other shapes, an even width, or a threshold that nothing reaches.

    >>> rain = torch.zeros(1, 1, 8, 8)
    >>> rain[..., 3, 3] = 1
    >>> moved = rain.roll(1, -1)[None]
    >>> fractions_skill(moved, rain, 0.5, width=1), fractions_skill(moved, rain, 0.5, width=3)
    (0.0, 0.6666666666666667)
    """
    x, y = of_ensemble(ensemble, truth, least=1)
    if y.ndim != 4:
        raise InputError(f"the truth has shape (N, C, H, W), not {tuple(truth.shape)}")
    if checks.whole("width", width) % 2 == 0:
        raise InputError(f"the width of a neighborhood is odd, with a cell in its middle: {width}")
    around, mode = width // 2, "circular" if periodic else "constant"

    def fractions(fields: Tensor) -> Tensor:
        wet = pad((fields > threshold).to(fields), (around,) * 4, mode=mode)
        return avg_pool2d(wet, width, stride=1)

    p = torch.stack([fractions(member) for member in x]).mean(0)
    o = fractions(y)
    most = float(p.square().mean() + o.square().mean())
    if not most > 0:
        raise InputError(f"nothing is above the threshold {threshold:g}, in forecast or truth")
    return 1 - float((p - o).square().mean()) / most
