"""The distributions that diffusions start from, and their relative entropy where it is known."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.distributions import ColoredNormal, GaussianMixture, Normal
from pushforward.divergences import gaussian

__all__ = ["known_entropy", "normal_moments"]


def normal_moments(start: object) -> tuple[Tensor, Tensor] | None:
    """Mean and covariance of a normal distribution of vectors in double precision, else `None`."""
    if isinstance(start, GaussianMixture) and len(start.means) == 1:
        return start.means[0].double(), start.covariance.double()
    if isinstance(start, ColoredNormal):
        return start.mean.double(), start.covariance.double()
    if isinstance(start, Normal) and len(start.shape) == 1 and start.space.white:
        eye = torch.eye(start.shape[0], dtype=torch.float64)
        return eye[0] * 0, start.scale**2 * eye
    return None


def known_entropy(p: object, q: object) -> float | None:
    """`KL(p | q)` of one distribution, or of two normal ones; `None` for others."""
    if p is q:
        return 0.0
    moments = normal_moments(p), normal_moments(q)
    if moments[0] is None or moments[1] is None:
        return None
    return gaussian.kl(*moments[0], *moments[1])
