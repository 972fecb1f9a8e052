"""A target in the coordinates in which paths move: about as wide as the start."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.targets import Target

__all__ = ["Density", "clipped", "relative_gradient"]


class Density:
    """A target at `z = center + L u`: its log-density in `u`, with `log |det L|`, has the same `Z`.

    Args:
        target: in coordinates `z` without bounds.
        center: `(d,)`.
        factor: `L`, lower triangular `(d, d)`.
        dtype: the precision in which the target is computed; that of the states by default.

    >>> from pushforward.targets import student
    >>> density = Density(student(2), torch.zeros(2), 2 * torch.eye(2))
    >>> bool(density(torch.zeros(1, 2)) > student(2)(torch.zeros(1, 2)))
    True
    """

    def __init__(
        self, target: Target, center: Tensor, factor: Tensor, dtype: torch.dtype | None = None
    ) -> None:
        self.target, self.center, self.factor, self.dtype = target, center, factor, dtype
        self._log_det = float(factor.diagonal().double().cpu().log().sum())

    def outward(self, u: Tensor) -> Tensor:
        """Coordinates `z` of the target, `(B, *unbounded_shape)`."""
        center, factor = self.center.to(u), self.factor.to(u)
        return (center + u @ factor.mT).view(-1, *self.target.unbounded_shape)

    def inward(self, z: Tensor) -> Tensor:
        """The coordinates `u`, `(B, d)`, of those of the target."""
        away = z.flatten(1) - self.center.to(z)
        return torch.linalg.solve_triangular(self.factor.to(z), away.mT, upper=False).mT

    def __call__(self, u: Tensor) -> Tensor:
        """The log-density, up to the constant, `(B,)`, in the precision of the states."""
        wide = u if self.dtype is None else u.to(self.dtype)
        return (self.target(self.outward(wide)) + self._log_det).to(u.dtype)

    def gradient(self, u: Tensor, *, through: bool = False) -> Tensor:
        """The gradient of the log-density, `(B, d)`.

        A constant, as a feature of a network should be; `through` makes it differentiable, for
        steps that follow the gradient.
        """
        with torch.enable_grad():
            at = u if through and u.requires_grad else u.detach().requires_grad_()
            (found,) = torch.autograd.grad(self(at).sum(), at, create_graph=through)
        return found if through else found.detach()


def clipped(gradient: Tensor, most: float) -> Tensor:
    """Gradients `(B, d)` shortened to `most * sqrt(d)`; zero where they are not finite.

    A feature of networks and a drift may be clipped, the density of a target never.

    >>> clipped(torch.tensor([[30.0, 40.0], [float("nan"), 0.0]]), 1.0)
    tensor([[0.8485, 1.1314],
            [0.0000, 0.0000]])
    """
    sound = gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    length = sound.norm(dim=-1, keepdim=True)
    return sound * (most * gradient.shape[-1] ** 0.5 / length.clamp(min=1e-12)).clamp(max=1.0)


def relative_gradient(density: Density, x: Tensor, scale: float, most: float) -> Tensor:
    """`scale` times the gradient of `log(gamma / N(0, scale^2))`, `(B, d)`, clipped; a constant."""
    return clipped(scale * density.gradient(x) + x.detach() / scale, most)
