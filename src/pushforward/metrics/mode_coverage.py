"""How many modes of a known distribution samples have found, and how many samples are near any."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics._points import checked
from pushforward.metrics.estimate import Estimate

__all__ = ["ModeCoverage", "mode_coverage", "mode_shares"]

_CHANCE = 0.01
"""Of missing a mode by chance that gets just the share asked for."""


class ModeCoverage(NamedTuple):
    """What samples of a distribution with known modes cover.

    Args:
        modes: how many modes have at least as many samples of high quality as `needed`.
        quality: the fraction of samples of high quality: their precision.
        counts: such samples of each mode, `(K,)`.
        needed: how many of them a mode needs to count as found, `(K,)`.
    """

    modes: int
    quality: Estimate
    counts: Tensor
    needed: Tensor


def mode_coverage(
    x: Tensor,
    centers: Tensor,
    std: float,
    *,
    within: float = 3.0,
    share: float = 0.5,
    weights: Tensor | None = None,
) -> ModeCoverage:
    r"""Modes found, and the fraction of samples within `within` standard deviations of a center.

    Such samples are of high quality (VEEGAN: Srivastava et al. 2017; PacGAN: Lin et al. 2018). Of a
    Gaussian in the plane 0.989 lie within three standard deviations.

    One sample near a mode does not find it: 1,000 points spread evenly over the plane of 25 modes
    come near half of them. A mode of weight `w` is found if its count is not below what the chosen
    `share` of its weight explains. With `q` the probability that a `d`-dimensional Gaussian lies
    within, a model that gives the mode this share has a count `C ~ Binomial(N, share w q)`, and

        needed = max(1, the largest c with P(C < c) <= 0.01).

    Of 1,000 samples and 25 equal modes that are 10, where the data's own count is 40 on average. A
    model that gives each mode its full weight then misses one with a chance below 1e-8. Below some
    340 samples of 25 modes more than a single one cannot be asked for.

    Args:
        x: samples `(N, d)`.
        centers: of the modes, `(K, d)`.
        std: of each mode, isotropic.
        within: how far a sample of high quality may be off, in standard deviations.
        share: of its weight that a mode needs to be found, above 0 and at most 1.
        weights: of the modes, `(K,)`, up to a factor; equal by default.

    Raises `InputError` for other shapes, a standard deviation that is not positive, a share out of
    range, or weights that are not positive.

    >>> centers = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    >>> x = torch.cat([centers[:1].expand(98, 2), centers[1:].expand(2, 2)])
    >>> found = mode_coverage(x, centers, 0.1)
    >>> found.modes, found.quality.value, found.counts.tolist(), found.needed.tolist()
    (1, 1.0, [98, 2], [15, 15])
    """
    checked(x, "samples", 1)
    if x.ndim != 2 or centers.ndim != 2 or x.shape[1] != centers.shape[1]:
        raise InputError(
            f"samples (N, d) and centers (K, d), not {tuple(x.shape)} and {tuple(centers.shape)}"
        )
    if not std > 0 or not within > 0:
        raise InputError(f"std {std} and within {within} must be positive")
    if not 0 < share <= 1:
        raise InputError(f"the share of its weight that a mode needs is in (0, 1], not {share}")
    weights = torch.ones(len(centers)) if weights is None else weights.detach().cpu()
    if weights.shape != (len(centers),) or not bool((weights > 0).all()):
        raise InputError(f"{len(centers)} modes have as many positive weights, not {weights}")
    distance, nearest = torch.cdist(x.double(), centers.double()).min(1)
    good = distance <= within * std
    counts = torch.bincount(nearest[good], minlength=len(centers))
    half_dimension, half_square = torch.tensor([x.shape[1] / 2, within**2 / 2]).double()
    inside = float(torch.special.gammainc(half_dimension, half_square))
    chances = (share * inside * weights.double() / weights.double().sum()).tolist()
    known = {chance: _needed(len(x), chance) for chance in set(chances)}
    needed = torch.tensor([known[chance] for chance in chances], device=counts.device)
    quality = float(good.double().mean())
    error = math.sqrt(quality * (1 - quality) / len(x))
    found = int((counts >= needed).sum())
    return ModeCoverage(found, Estimate(quality, error, len(x)), counts, needed)


def mode_shares(x: Tensor, modes: Tensor, weights: Tensor | None = None) -> Tensor:
    """The share of weight that is nearest to each mode, `(K,)`, in double precision.

    Its entropy over `log K` is the entropic mode coverage (Blessing et al. 2024), one where modes
    that weigh the same are found alike.

    Args:
        x: samples `(N, *event)`.
        modes: `(K, *event)`.
        weights: of the samples, up to a factor, `(N,)`; equal by default.

    Raises `InputError` for other shapes.

    >>> modes = torch.tensor([[-1.0], [1.0]])
    >>> mode_shares(torch.tensor([[-1.1], [0.8], [0.9]]), modes, torch.tensor([2.0, 1.0, 1.0]))
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    checked(x, "samples", 1)
    if x.shape[1:] != modes.shape[1:]:
        raise InputError(
            f"samples (N, *event) and modes (K, *event), not {tuple(x.shape)} and "
            f"{tuple(modes.shape)}"
        )
    if weights is not None and weights.shape != (len(x),):
        raise InputError(f"{len(x)} samples have as many weights, not {tuple(weights.shape)}")
    flat, centers = (part.flatten(1).double().cpu() for part in (x, modes))
    nearest = torch.cdist(flat, centers).argmin(1)
    own = torch.ones(len(x)) if weights is None else weights.detach().cpu()
    total = torch.zeros(len(modes), dtype=torch.float64)
    total.index_add_(0, nearest, own.double())
    return total / total.sum()


def _needed(n: int, chance: float) -> int:
    """The largest `c` that `C ~ Binomial(n, chance)` falls below in 1 % of cases; at least 1."""
    k = torch.arange(n + 1, dtype=torch.float64)
    ways = math.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    log_chance = ways + k * math.log(chance) + torch.xlogy(n - k, torch.tensor(1 - chance))
    return max(1, int((log_chance.exp().cumsum(0) <= _CHANCE).sum()))
