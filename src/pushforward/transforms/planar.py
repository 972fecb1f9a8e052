r"""Planar and radial flows (Rezende & Mohamed 2015): one direction, or one center, at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.transform import Transform

__all__ = ["Planar", "Radial"]

_HALVINGS = 200


@configurable
class Planar(Transform):
    r"""`x = z + u tanh(w.z + b)`, invertible for `w.u > -1`, which `u` is made to keep.

    The inverse finds the root of a monotone function of one number, by bisection until the last
    digit and one step of Newton, which carries the gradient.

    Args:
        features: the dimension of flattened states.

    Raises `InputError` for none.

    >>> layer = Planar(2)
    >>> z = torch.tensor([[0.5, -1.0]])
    >>> bool(torch.allclose(layer.inverse(layer(z))[0], z, atol=1e-5))
    True
    """

    condition = TransformCondition()

    def __init__(self, features: int) -> None:
        super().__init__()
        features = whole("features", features)
        scale = 1 / math.sqrt(features)
        self.weight = nn.Parameter(scale * torch.randn(features))
        self.direction = nn.Parameter(0.01 * scale * torch.randn(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Along the plane's normal, by the distance from it."""
        flat, u = z.flatten(1), self._u()
        a = flat @ self.weight + self.bias
        x = flat + u * torch.tanh(a).unsqueeze(1)
        return x.reshape(z.shape), self._log_det(a, u)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The root of `a + w.u tanh(a) = w.x + b`, then a step back."""
        flat, u = x.flatten(1), self._u()
        reach = self.weight @ u
        goal = flat @ self.weight + self.bias
        a = _root(
            lambda a: a + reach * torch.tanh(a) - goal,
            lambda a: 1 + reach * (1 - torch.tanh(a).square()),
            goal - reach.abs(),
            goal + reach.abs(),
        )
        z = flat - u * torch.tanh(a).unsqueeze(1)
        return z.reshape(x.shape), -self._log_det(a, u)

    def _u(self) -> Tensor:
        """The direction, moved along `w` to where `w.u > -1`."""
        along = self.weight @ self.direction
        # softplus(0) = log 2: a direction of zero stays nearly zero.
        kept = softplus(along + math.log(math.e - 1)) - 1
        return self.direction + (kept - along) * self.weight / self.weight.square().sum().clamp(
            1e-12
        )

    def _log_det(self, a: Tensor, u: Tensor) -> Tensor:
        return torch.log1p((self.weight @ u) * (1 - torch.tanh(a).square()))


@configurable
class Radial(Transform):
    r"""`x = z + b (z - z_0) / (a + |z - z_0|)`, with `a > 0` and `b > -a`.

    The distance from the center is the root of a quadratic equation.

    Args:
        features: the dimension of flattened states.

    Raises `InputError` for none.

    >>> layer = Radial(2)
    >>> z = torch.tensor([[0.5, -1.0]])
    >>> bool(torch.allclose(layer.inverse(layer(z))[0], z, atol=1e-5))
    True
    """

    condition = TransformCondition()

    def __init__(self, features: int) -> None:
        super().__init__()
        features = whole("features", features)
        self.center = nn.Parameter(torch.randn(features))
        self.log_range = nn.Parameter(torch.zeros(()))
        self.strength = nn.Parameter(0.01 * torch.randn(()))

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """Away from the center, or towards it."""
        flat = z.flatten(1) - self.center
        a, b = self._read()
        r = _norm(flat)
        x = self.center + flat * (1 + b / (a + r)).unsqueeze(1)
        return x.reshape(z.shape), self._log_det(r, a, b, flat.shape[1])

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """The distance `r` of the preimage solves `r (1 + b / (a + r)) = |x - z_0|`."""
        flat = x.flatten(1) - self.center
        a, b = self._read()
        goal = _norm(flat)
        half = 0.5 * (goal - a - b)
        root = (half.square() + a * goal).sqrt()
        # The form without cancellation on either side.
        r = torch.where(half > 0, half + root, a * goal / (root - half).clamp(min=1e-38))
        z = self.center + flat / (1 + b / (a + r)).unsqueeze(1)
        return z.reshape(x.shape), -self._log_det(r, a, b, flat.shape[1])

    def _read(self) -> tuple[Tensor, Tensor]:
        a = self.log_range.exp()
        return a, softplus(self.strength + _inverse_softplus(a)) - a

    def _log_det(self, r: Tensor, a: Tensor, b: Tensor, features: int) -> Tensor:
        across = torch.log1p(b / (a + r))
        along = torch.log1p(a * b / (a + r).square())
        return (features - 1) * across + along


def _inverse_softplus(a: Tensor) -> Tensor:
    return a + torch.log(-torch.expm1(-a))


def _norm(x: Tensor) -> Tensor:
    # The slope of a norm is infinite at zero.
    return (x.square().sum(1) + torch.finfo(x.dtype).tiny).sqrt()


def _root(
    f: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], low: Tensor, high: Tensor
) -> Tensor:
    """The root of an increasing function in a bracket, with the gradient of the solution."""
    with torch.no_grad():
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            if bool(((middle <= low) | (middle >= high)).all()):
                break
            below = f(middle) < 0
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        root = 0.5 * (low + high)
        steepness = slope(root)
    return root - f(root) / steepness
