"""Toy distributions on the plane, with the formulas and scales of the literature.

Each function draws `n` independent points `(n, 2)` and, where the distribution has parts, the part
that each point came from, `(n,)`. The scales are those of FFJORD (Grathwohl et al. 2019,
https://arxiv.org/abs/1810.01367) and, for `gaussians_25`, PacGAN (Lin et al. 2018,
https://arxiv.org/abs/1712.04086).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve

__all__ = [
    "Modes",
    "Toy",
    "checkerboard",
    "gaussians_8",
    "gaussians_25",
    "modes",
    "pinwheel",
    "swiss_roll",
    "two_moons",
]

Toy = Callable[[int, torch.Generator], tuple[Tensor, Tensor | None]]


def two_moons(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Two interleaved half circles of radius 1, as in scikit-learn, with noise of scale 0.1.

    With `a` uniform on [0, pi], the upper moon (part 0) is `(cos a, sin a)`, the lower (part 1)
    `(1 - cos a, 1/2 - sin a)`; equal weights, then Gaussian noise.

    >>> x, part = two_moons(500, torch.Generator().manual_seed(0))
    >>> bool(x[part == 0, 1].mean() > x[part == 1, 1].mean())
    True
    """
    generator = resolve(None, generator)
    part = torch.randint(2, (n,), generator=generator)
    angle = math.pi * torch.rand(n, generator=generator)
    flip = 1.0 - 2.0 * part
    x = torch.stack([part + flip * angle.cos(), 0.5 * part + flip * angle.sin()], -1)
    return x + 0.1 * torch.randn(n, 2, generator=generator), part


def gaussians_8(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Eight equal Gaussians of scale 0.5 / sqrt 2 on a circle of radius 4 / sqrt 2.

    Part `k` has the mean `4 (cos(k pi / 4), sin(k pi / 4)) / sqrt 2`.

    >>> x, part = gaussians_8(500, torch.Generator().manual_seed(0))
    >>> part.unique().tolist()
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    generator = resolve(None, generator)
    part = torch.randint(8, (n,), generator=generator)
    angle = part * (math.pi / 4)
    mean = 4 * torch.stack([angle.cos(), angle.sin()], -1)
    return (mean + 0.5 * torch.randn(n, 2, generator=generator)) / math.sqrt(2), part


def gaussians_25(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Twenty-five equal Gaussians of scale 0.05 on the grid {-4, -2, 0, 2, 4}^2.

    Part `5 i + j` has the mean `(2 i - 4, 2 j - 4)`.

    >>> x, part = gaussians_25(500, torch.Generator().manual_seed(0))
    >>> bool((x - 2 * (x / 2).round()).abs().max() < 0.3)
    True
    """
    generator = resolve(None, generator)
    part = torch.randint(25, (n,), generator=generator)
    mean = 2.0 * torch.stack([part // 5, part % 5], -1) - 4
    return mean + 0.05 * torch.randn(n, 2, generator=generator), part


def checkerboard(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Uniform on eight squares of side 2: the cells of [-4, 4]^2 with `i + j` even.

    Cell `(i, j)` is `[2 i - 4, 2 i - 2] x [2 j - 4, 2 j - 2]`; part `k` has
    `i = k // 2` and `j = 2 (k % 2) + i % 2`. The density is 1/32 on the squares.

    >>> x, part = checkerboard(500, torch.Generator().manual_seed(0))
    >>> bool(x.abs().max() <= 4)
    True
    """
    generator = resolve(None, generator)
    part = torch.randint(8, (n,), generator=generator)
    i = part // 2
    corner = torch.stack([i, 2 * (part % 2) + i % 2], -1)
    return 2 * (corner + torch.rand(n, 2, generator=generator)) - 4, part


def swiss_roll(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
    """A spiral of one and a half turns with noise of scale 0.2.

    With `a` uniform on [3 pi / 2, 9 pi / 2], the point is `a (cos a, sin a) / 5` plus Gaussian
    noise: scikit-learn's roll without its height. It has no parts.

    >>> x, part = swiss_roll(500, torch.Generator().manual_seed(0))
    >>> x.shape, part
    (torch.Size([500, 2]), None)
    """
    generator = resolve(None, generator)
    angle = math.pi * (1.5 + 3 * torch.rand(n, generator=generator))
    spiral = angle.unsqueeze(-1) * torch.stack([angle.cos(), angle.sin()], -1)
    return (spiral + torch.randn(n, 2, generator=generator)) / 5, None


def pinwheel(n: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Five bent blades around the origin.

    With `r ~ N(1, 0.3^2)` and `s ~ N(0, 0.1^2)` the point is `2 R(a) (r, s)`: `R` turns
    counter-clockwise by `a = 2 pi k / 5 + exp(r) / 4` for part `k`. The bend
    keeps the distance to the origin, so `E |x|^2 = 4 (1 + 0.09 + 0.01) = 4.4`.

    >>> x, part = pinwheel(500, torch.Generator().manual_seed(0))
    >>> part.unique().tolist()
    [0, 1, 2, 3, 4]
    """
    generator = resolve(None, generator)
    part = torch.randint(5, (n,), generator=generator)
    r = 1 + 0.3 * torch.randn(n, generator=generator)
    s = 0.1 * torch.randn(n, generator=generator)
    angle = part * (2 * math.pi / 5) + 0.25 * r.exp()
    cos, sin = angle.cos(), angle.sin()
    return 2 * torch.stack([r * cos - s * sin, r * sin + s * cos], -1), part


class Modes(NamedTuple):
    """Where a mixture of equal, isotropic Gaussians has its modes.

    Args:
        centers: their means, `(K, d)`.
        std: the scale of each.
    """

    centers: Tensor
    std: float


def modes(name: str) -> Modes | None:
    """The modes of a toy distribution that is a mixture of Gaussians; `None` for any other.

    >>> len(modes("25gaussians").centers), modes("two_moons")
    (25, None)
    """
    if name == "8gaussians":
        angle = torch.arange(8) * (math.pi / 4)
        centers = 4 * torch.stack([angle.cos(), angle.sin()], -1)
        return Modes(centers / math.sqrt(2), 0.5 / math.sqrt(2))
    if name == "25gaussians":
        line = 2.0 * torch.arange(5) - 4
        return Modes(torch.cartesian_prod(line, line), 0.05)
    return None
