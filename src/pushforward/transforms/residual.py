r"""Residual flows: a step by a contraction, inverted by iteration (Behrmann et al. 2019)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pushforward._precision import in_rounding_of
from pushforward.checks import fraction, positive, whole
from pushforward.config import configurable
from pushforward.errors import SamplingError
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.transform import Transform

__all__ = ["Contraction", "FixedPoint", "Residual"]


class FixedPoint(NamedTuple):
    """The state that an iteration ended at.

    Args:
        x: the state, `(B, *event)`.
        iterations: how many it took.
        residual: the largest change of an entry in the last one, relative to its size.
    """

    x: Tensor
    iterations: int
    residual: float


@configurable
class Contraction(nn.Module):
    """A perceptron of slope below `slope` everywhere: its maps are scaled by their largest singular
    values, and its activations have slopes of at most one.

    The norms are computed exactly, by singular values, for what they cost small networks; every
    evaluation holds the bound.

    Args:
        features: the dimension of flattened states.
        width: hidden units per layer.
        depth: hidden layers.
        slope: the largest, below one.

    Raises `InputError` for sizes below one, or a slope that is none of a contraction.

    >>> Contraction(2, width=8)(torch.zeros(3, 2)).shape
    torch.Size([3, 2])
    """

    def __init__(self, features: int, width: int = 64, depth: int = 2, slope: float = 0.95) -> None:
        super().__init__()
        features, width = whole("features", features), whole("width", width)
        self.slope = fraction("slope", positive("slope", slope))
        sizes = [features, *[width] * whole("depth", depth), features]
        maps = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        with torch.no_grad():
            # Near the identity as a flow, and not at a saddle of the product of maps.
            maps[-1].weight.mul_(0.1)
            maps[-1].bias.zero_()
        self.maps = nn.ModuleList(maps)

    def forward(self, x: Tensor) -> Tensor:
        """The value at `x`, `(B, features)`."""
        each = self.slope ** (1 / len(self.maps))
        layer: Any
        for k, layer in enumerate(self.maps):
            norm = torch.linalg.matrix_norm(layer.weight, 2)
            x = nn.functional.linear(x, layer.weight * (each / norm.clamp(min=each)), layer.bias)
            if k + 1 < len(self.maps):
                # LipSwish (Chen et al. 2019): the slope of SiLU is at most 1.1.
                x = nn.functional.silu(x) / 1.1
        return x


@configurable
class Residual(Transform):
    r"""From data to base, `z = x + g(x)` with a contraction `g` (Chen et al. 2019).

    Up to `exact` features the log-determinant is that of the Jacobian. Beyond, and in training, it
    is the series `sum_k (-1)^{k+1} tr(J^k) / k` with one probe for the traces, from torch's global
    generator as in dropout. In training it is cut at a random place and weighted so that its mean
    is the whole sum: unbiased, and random. In evaluation the cut is fixed, at a remainder below
    `1e-3` of what the slope allows. Base to data is the fixed point of `x <- z - g(x)`.

    Args:
        net: the contraction: a network on `(B, d)` of slope below one, such as `Contraction`.
        exact: up to how many features the Jacobian is computed.
        tolerance: the relative residual at which the inverse ends; by default some eight roundings
            of the precision of the state, 1e-6 in float32. A finer one is not resolved, and ends
            there: `solve` says what was reached.
        iterations: the most it may take.

    Raises `InputError` for a tolerance that is not positive, or no iterations.

    >>> layer = Residual(Contraction(2, width=8))
    >>> z = torch.tensor([[0.5, -1.0]])
    >>> bool(torch.allclose(layer.inverse(layer(z))[0], z, atol=1e-5))
    True
    """

    condition = TransformCondition()

    def __init__(
        self,
        net: nn.Module,
        exact: int = 8,
        tolerance: float | None = None,
        iterations: int = 5000,
    ) -> None:
        super().__init__()
        self.net, self.exact = net, whole("exact", exact, least=0)
        self.tolerance = None if tolerance is None else positive("tolerance", tolerance)
        self.iterations = whole("iterations", iterations)

    def is_estimate(self, features: int) -> bool:
        """Beyond `exact` features."""
        return features > self.exact

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From data to base, with the log-determinant or an estimate of it."""
        flat = x.flatten(1)
        with torch.enable_grad():
            place = flat if flat.requires_grad else flat.detach().requires_grad_()
            step = self.net(place)
            log_det = (
                self._exactly(step, place)
                if flat.shape[1] <= self.exact
                else self._by_series(step, place)
            )
        if not torch.is_grad_enabled():
            step, log_det = step.detach(), log_det.detach()
        return (flat + step).reshape(x.shape), log_det

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From base to data, by iteration. Raises `SamplingError` if it does not end."""
        x = self.solve(z).x
        if torch.is_grad_enabled():
            x = self._attached(x, z)
        return x, -self.inverse(x)[1]

    @torch.no_grad()
    def solve(self, z: Tensor) -> FixedPoint:
        """The fixed point. Raises `SamplingError`, with the residual, if it is not reached."""
        flat = z.flatten(1)
        x, residual = flat, math.inf
        least = 8 * torch.finfo(flat.dtype).eps
        default = in_rounding_of(flat.dtype, 1e-6)
        tolerance = default if self.tolerance is None else max(self.tolerance, least)
        for k in range(1, self.iterations + 1):
            new = flat - self.net(x)
            residual = float(((new - x).abs() / (1 + x.abs())).amax()) if len(x) else 0.0
            x = new
            if residual <= tolerance:
                return FixedPoint(x.reshape(z.shape), k, residual)
        raise SamplingError(
            f"the inverse of a residual flow is {residual:.2g} off after {self.iterations} "
            "iterations: its network is no contraction, or needs more iterations"
        )

    def _attached(self, x: Tensor, z: Tensor) -> Tensor:
        """`x` with the gradients of the fixed point: those of `-(I + J)^{-1} (x + g(x) - z)`."""
        place = x.detach().flatten(1).requires_grad_()
        step = self.net(place)

        def solved(gradient: Tensor) -> Tensor:
            v = gradient
            least = in_rounding_of(gradient.dtype, 1e-7) * float(gradient.abs().amax())
            for _ in range(self.iterations):
                (back,) = torch.autograd.grad(step, place, v, retain_graph=True)
                new = gradient - back
                if float((new - v).abs().amax()) <= least:
                    return new
                v = new
            raise SamplingError(
                f"the gradient of the inverse of a residual flow is not reached in "
                f"{self.iterations} iterations: allow more of them"
            )

        flat = x.detach().flatten(1)
        missing = flat + self.net(flat) - z.flatten(1)
        if not missing.requires_grad:
            return x
        missing.register_hook(solved)
        return (flat - (missing - missing.detach())).reshape(x.shape)

    def _exactly(self, step: Tensor, place: Tensor) -> Tensor:
        rows = [
            torch.autograd.grad(step[:, i].sum(), place, create_graph=True)[0]
            for i in range(step.shape[1])
        ]
        jacobian = torch.stack(rows, 1) + torch.eye(step.shape[1]).to(step)
        # The determinant of a map within one of the identity is positive.
        return torch.linalg.slogdet(jacobian).logabsdet

    def _by_series(self, step: Tensor, place: Tensor) -> Tensor:
        """Terms up to a random one, each over the chance that it is reached."""
        probe = torch.where(torch.rand_like(step) < 0.5, -1.0, 1.0).to(step)
        if self.training:
            # Three terms for certain, then each with probability one half.
            terms = 2 + int(torch.empty((), device="cpu").geometric_(0.5))
        else:
            slope = getattr(self.net, "slope", 0.95)
            terms = math.ceil(math.log(1e-3 * (1 - slope)) / math.log(slope))
        v, total = probe, torch.zeros_like(step[:, 0])
        for k in range(1, terms + 1):
            (v,) = torch.autograd.grad(step, place, v, create_graph=True)
            reached = 0.5 ** max(0, k - 3) if self.training else 1.0
            total = total + (-1) ** (k + 1) / (k * reached) * (v * probe).sum(1)
        return total
