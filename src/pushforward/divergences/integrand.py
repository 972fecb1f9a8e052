r"""f-divergences as means over the mixture `m = (p + q) / 2` of a function of `log p / q`.

With `l = log p / q` and `f` moved by a multiple of `u - 1` to be least at 1, with value 0 there,

    D_f(p || q) = int q f(p / q) = int m g(l),    g(l) = 2 f(e^l) / (1 + e^l) >= 0.

No density is divided by that is not also multiplied with, and the mean is one of positive numbers:
sums, integrals and draws all have one formula.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.discrepancies import FDivergence

__all__ = ["against_mixture"]

_FAR = 700.0
"""A log-ratio near the end of double precision."""


def against_mixture(divergence: FDivergence, log_ratio: Tensor) -> Tensor:
    """`g` at log-ratios in double precision, of which some may be infinite.

    >>> from pushforward.discrepancies import KL
    >>> against_mixture(KL(), torch.tensor([0.0, -torch.inf], dtype=torch.float64))
    tensor([0., 2.], dtype=torch.float64)
    """
    near = log_ratio.clamp(max=_FAR)
    one, zero = torch.ones_like(near[:1]), torch.zeros_like(near[:1])
    tangent = divergence.slope(zero)
    f = divergence.f(near.exp()) - divergence.f(one) - tangent * torch.expm1(near)
    g = 2 * torch.sigmoid(-near) * f
    # Where q has no mass, all that counts is the slope of f at infinity.
    beyond = 2 * (divergence.slope(torch.full_like(zero, torch.inf)) - tangent)
    return torch.where(log_ratio == torch.inf, beyond, g).clamp(min=0)
