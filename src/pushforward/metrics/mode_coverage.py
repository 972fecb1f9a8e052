"""How many modes of a known distribution samples have found, and how many samples are near any."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.errors import InputError
from pushforward.metrics._points import checked
from pushforward.metrics.estimate import Estimate

__all__ = ["ModeCoverage", "mode_coverage"]


class ModeCoverage(NamedTuple):
    """What samples of a distribution with known modes cover.

    Args:
        modes: how many modes have at least one sample of high quality.
        quality: the fraction of samples of high quality.
        counts: such samples of each mode, `(K,)`.
    """

    modes: int
    quality: Estimate
    counts: Tensor


def mode_coverage(x: Tensor, centers: Tensor, std: float, *, within: float = 3.0) -> ModeCoverage:
    """Modes found, and the fraction of samples within `within` standard deviations of a center.

    The measure of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018). Of a Gaussian in
    the plane 0.989 lie within three standard deviations.

    Args:
        x: samples `(N, d)`.
        centers: of the modes, `(K, d)`.
        std: of each mode, isotropic.
        within: how far a sample of high quality may be off, in standard deviations.

    Raises `InputError` for other shapes, or a standard deviation that is not positive.

    >>> centers = torch.tensor([[0.0, 0.0], [5.0, 0.0]])
    >>> found = mode_coverage(centers[:1] + torch.zeros(10, 2), centers, 0.1)
    >>> found.modes, found.quality.value
    (1, 1.0)
    """
    checked(x, "samples", 1)
    if x.ndim != 2 or centers.ndim != 2 or x.shape[1] != centers.shape[1]:
        raise InputError(
            f"samples (N, d) and centers (K, d), not {tuple(x.shape)} and {tuple(centers.shape)}"
        )
    if not std > 0 or not within > 0:
        raise InputError(f"std {std} and within {within} must be positive")
    distance, nearest = torch.cdist(x.double(), centers.double()).min(1)
    good = distance <= within * std
    counts = torch.bincount(nearest[good], minlength=len(centers))
    share = float(good.double().mean())
    error = math.sqrt(share * (1 - share) / len(x))
    return ModeCoverage(int((counts > 0).sum()), Estimate(share, error, len(x)), counts)
