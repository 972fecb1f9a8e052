r"""The support that a denoiser has learned.

At small noise the posterior of `x_0` given a point sits at the nearest points of the support, so
that the denoiser `D(x, sigma) = E[x_0 | x_0 + sigma e = x]` is the projection onto it, up to
`sigma^2` times the curvature: a gradient step on half the squared distance (Permenter & Yuan 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from pushforward.checks import positive, whole
from pushforward.errors import InputError
from pushforward.models import GenerativeModel
from pushforward.support.denoising import Denoise, denoise_with
from pushforward.support.support import Support

__all__ = ["DenoiserSupport"]


class DenoiserSupport(Support):
    """Points are denoised at levels that fall geometrically from `start` to `sigma`.

    Args:
        denoise: `E[x_0 | x_0 + sigma e = x]` of states and a level.
        sigma: the last level: data closer to the support than this are not told from it. Above the
            distance between training points where a model knows these by heart.
        start: the first level, by default twice the last. For a trained network, which knows states
            with noise, it is about the distance of the points over the root of their dimension, as
            of noise that brought them there; from a much larger one they go towards the middle of
            the data, and not to the nearest point.
        steps: how many levels, whose errors, `sigma^2` times the curvature, add up.

    >>> from pushforward.support import Hypersphere
    >>> circle = Hypersphere(1)
    >>> estimated = DenoiserSupport(circle.posterior_mean, 0.02)
    >>> estimated.distance(torch.tensor([[0.0, 1.5], [0.7, 0.0]]))
    tensor([0.5002, 0.2998])
    """

    def __init__(
        self, denoise: Denoise, sigma: float, start: float | None = None, steps: int = 3
    ) -> None:
        self.denoise, self.sigma = denoise, positive("sigma", sigma)
        self.start = 2 * sigma if start is None else positive("start", start)
        if self.start < sigma:
            raise InputError(f"levels fall from start={self.start:g} to sigma={sigma:g}")
        self.steps = whole("steps", steps)
        self._inward: Callable[[Tensor], Tensor] = lambda x: x
        self._outward: Callable[[Tensor], Tensor] = lambda x: x

    @classmethod
    def of_model(
        cls,
        model: GenerativeModel,
        sigma: float,
        start: float | None = None,
        steps: int = 3,
        c: Any = None,
    ) -> Self:
        """That of a trained model, for points in data units.

        Levels are in the units of the model, where the data have a scale of about one. Raises
        `CapabilityError` for a model without a denoiser.
        """
        found = cls(denoise_with(model, c), sigma, start, steps)
        found._inward, found._outward = model.inward, model.outward
        return found

    @torch.no_grad()
    def project(self, x: Tensor) -> Tensor:
        """Points `(n, *event)` denoised level by level."""
        z = self._inward(x)
        first, last = math.log(self.start), math.log(self.sigma)
        for level in torch.linspace(first, last, self.steps, dtype=torch.float64).exp().tolist():
            z = self.denoise(z, level)
        return self._outward(z).to(x)
