"""Potentials and transport maps beyond the points that a plan was found on."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.ot import checks
from pushforward.ot.geometry import Cloud, alive
from pushforward.ot.plan import Plan

__all__ = ["EntropicMap"]


class EntropicMap:
    r"""The map `T(x) = sum_j y_j p_j(x)` of a plan, to the mean of what goes with `x`.

    The second potential extends the first to any `x` by

        f(x) = -epsilon log sum_j b_j exp((g_j - c(x, y_j)) / epsilon),

    divided by `1 + epsilon / tau` if the first marginal is not binding. The conditional
    distribution `p_j(x)` is proportional to `b_j exp((g_j - c(x, y_j)) / epsilon)`. For squared
    distances and marginals that bind, `T(x) = x - grad f(x) / 2` estimates the Monge map (Pooladian
    & Niles-Weed 2021).

    Args:
        plan: of `sinkhorn` on `PointClouds`.
        y: the second set of points `(m, *event)` that it was found on.

    States are tensors, arrays or lists, finite and of the event shape of `y`.

    Raises `CapabilityError` for the plan of a cost matrix or a grid, which has no points.

    >>> from pushforward.ot import PointClouds, sinkhorn
    >>> g = torch.Generator().manual_seed(0)
    >>> x, y = torch.randn(500, 1, generator=g), torch.randn(500, 1, generator=g) + 5
    >>> push = EntropicMap(sinkhorn(PointClouds(x, y), epsilon=0.1), y)
    >>> bool((push(torch.zeros(1, 1)) - 5).abs() < 0.2)
    True
    """

    def __init__(self, plan: Plan, y: Tensor) -> None:
        if not isinstance(plan, Plan):
            raise InputError(f"plan is what sinkhorn returns, not a {type(plan).__name__}")
        if not isinstance(plan.geometry, Cloud):
            raise CapabilityError(
                "a plan of costs or of a grid has no points: take one of PointClouds(x, y)"
            )
        y = checks.finite(y, "y")
        flat = checks.points(y, "y").to(plan.geometry.y)
        if flat.shape != plan.geometry.y.shape:
            raise InputError(f"y has shape {tuple(y.shape)}; the plan ends in {len(plan.g)} others")
        self.plan, self.y = plan, y
        self._flat = flat.detach()

    def potential(self, x: Tensor) -> Tensor:
        """`f(x)` of states `(k, *event)`, `(k,)`; differentiable."""
        shrink = 1 + self.plan.epsilon / self.plan.tau[0]
        softmin = -self.plan.epsilon / shrink * self._logs(x).logsumexp(1)
        cloud = self._cloud
        return softmin + cloud.cost.offsets(self._moved(x), cloud.y, cloud.gap)[0]

    def weights(self, x: Tensor) -> Tensor:
        """The conditional distribution of `y` given each state, `(k, m)`."""
        return self._logs(x).softmax(1)

    def __call__(self, x: Tensor) -> Tensor:
        """The conditional mean for each state, `(k, *event)`; differentiable."""
        x = checks.finite(x, "x")
        means = self.weights(x) @ self._flat
        return means.reshape(len(x), *self.y.shape[1:]).to(x.dtype)

    def sample(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """One point of `y` for each state, drawn with its `weights`, `(k, *event)`."""
        drawn = self.weights(checks.finite(x, "x").detach()).multinomial(1, generator=generator)[
            :, 0
        ]
        return self.y[drawn]

    @property
    def _cloud(self) -> Cloud:
        assert isinstance(self.plan.geometry, Cloud)
        return self.plan.geometry

    def _moved(self, x: Tensor) -> Tensor:
        """States as the plan has them, `(k, d)`, about a center."""
        x = checks.finite(x, "x")
        if x.shape[1:] != self.y.shape[1:]:
            raise InputError(
                f"x has events of shape {tuple(x.shape[1:])}, those of the plan have "
                f"{tuple(self.y.shape[1:])}"
            )
        return x.reshape(len(x), -1).to(self._cloud.y) - self._cloud.centers[0]

    def _logs(self, x: Tensor) -> Tensor:
        moved, cloud = self._moved(x), self._cloud
        g = alive(self.plan.potentials[1], self.plan.b)
        zero = moved.new_zeros(len(moved))
        logs = cloud.cost.exponents(moved, cloud.y, zero, g, self.plan.epsilon)
        return logs + self.plan.b.log()
