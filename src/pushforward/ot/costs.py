"""Ground costs `c(x, y)`: what it takes to move a unit of mass from one state to another."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["Cost", "CostLike", "FunctionCost", "PowerNorm", "SquaredEuclidean", "resolve"]


class Cost(ABC):
    """A cost of pairs of states: `(n, d)` and `(m, d)` give a table `(n, m)`."""

    @abstractmethod
    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """The costs of all pairs, `(n, m)`."""

    def exponents(self, x: Tensor, y: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        """The table `(f_i + g_j - c(x_i, y_j)) / epsilon`, a new tensor `(n, m)`."""
        table = self(x, y).neg()
        return table.add_(f[:, None]).add_(g).div_(epsilon)

    def gradients(self, x: Tensor, y: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of `sum_ij plan_ij c(x_i, y_j)` in `x` and `y`, the plan held fixed.

        Raises `InputError` for a cost that has none.
        """
        with torch.enable_grad():
            x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
            total = self.total(x, y, plan)
            if not total.requires_grad:
                raise InputError(
                    "cost returns a tensor without gradients in the points: write it in torch "
                    "operations, or detach the points"
                )
            left, right = torch.autograd.grad(total, (x, y), materialize_grads=True)
        return left, right

    def total(self, x: Tensor, y: Tensor, plan: Tensor) -> Tensor:
        """`sum_ij plan_ij c(x_i, y_j)`; nothing goes between pairs that are forbidden."""
        table = self(x, y)
        return (plan * table.where(table < torch.inf, 0.0)).sum()

    def learns(self, x: Tensor, y: Tensor) -> bool:
        """Whether the costs of points without gradients have some, in parameters of their own."""
        if not (torch.is_grad_enabled() and self.forbids):
            return False
        return self(x[:1].detach(), y.detach()).requires_grad

    def centers(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Points `(d,)` that the two clouds may be moved to zero from, to gain digits; zeros.

        Moved by two points the clouds have other costs, by `offsets`.
        """
        return torch.zeros_like(x[0]), torch.zeros_like(y[0])

    def offsets(self, x: Tensor, y: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
        """What costs change by, `c(x_i + gap, y_j) - c(x_i, y_j) = left_i + right_j`.

        Terms of one side alone change no plan, but its potentials. Zeros, where `gap` is zero.
        """
        return torch.zeros_like(x[:, 0]), torch.zeros_like(y[:, 0])

    @property
    def forbids(self) -> bool:
        """Whether some costs may be infinite, which forbids the pair."""
        return True

    @property
    def cheap(self) -> bool:
        """Whether the table is better computed again than kept."""
        return False


class SquaredEuclidean(Cost):
    """`c(x, y) = |x - y|^2`, whose exponents are one matrix product.

    >>> SquaredEuclidean()(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([[25.]])
    """

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        bias = torch.stack([x.square().sum(1), torch.ones_like(x[:, 0])], 1)
        other = torch.stack([torch.ones_like(y[:, 0]), y.square().sum(1)])
        # The squares ride along as two more coordinates; rounding must not make a cost negative.
        return torch.addmm(bias @ other, x, y.mT, alpha=-2).clamp(min=0)

    def exponents(self, x: Tensor, y: Tensor, f: Tensor, g: Tensor, epsilon: float) -> Tensor:
        row = (f - x.square().sum(1)) / epsilon
        column = (g - y.square().sum(1)) / epsilon
        left = torch.cat([x * (2 / epsilon), row[:, None]], 1)
        right = torch.cat([y, torch.ones_like(y[:, :1])], 1)
        return torch.addmm(column, left, right.mT)

    def gradients(self, x: Tensor, y: Tensor, plan: Tensor) -> tuple[Tensor, Tensor]:
        left = plan.sum(1, keepdim=True) * x - plan @ y
        right = plan.sum(0)[:, None] * y - plan.mT @ x
        return 2 * left, 2 * right

    def centers(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The means: squares far from the origin lose the digits of small distances.

        Raises `InputError` for coordinates whose squares are no numbers any more.
        """
        largest = max(float((z - z.mean(0)).square().sum(1).max()) for z in (x, y))
        apart = float((x.mean(0) - y.mean(0)).square().sum())
        if not largest + apart < torch.finfo(x.dtype).max / 8:
            raise InputError(
                f"squared distances of points so far apart are beyond the range of {x.dtype}: "
                "divide both x and y by a length"
            )
        return x.mean(0), y.mean(0)

    def offsets(self, x: Tensor, y: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
        """`|x + gap - y|^2 = |x - y|^2 + (2 x + gap) gap - 2 y gap`."""
        return (2 * x + gap) @ gap, -2 * y @ gap

    @property
    def forbids(self) -> bool:
        """Never."""
        return False

    @property
    def cheap(self) -> bool:
        return True


class PowerNorm(Cost):
    """`c(x, y) = |x - y|_p^power`; the transport cost of `power = p` is `W_p^p` for that norm.

    Args:
        p: the norm, at least 1; `math.inf` is the largest difference.
        power: positive.

    Raises `InputError` for other numbers.

    >>> PowerNorm(p=1, power=1)(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
    tensor([[7.]])
    """

    def __init__(self, p: float = 2.0, power: float = 1.0) -> None:
        largest = isinstance(p, float) and p == math.inf
        self.p = math.inf if largest else checks.number("p", p, least=1)
        self.power = checks.positive("power", power)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        # Differences and not matrix products, which lose the digits of small distances.
        mode = "donot_use_mm_for_euclid_dist"
        distances = torch.cdist(x, y, p=self.p, compute_mode=mode)
        return distances if self.power == 1 else distances.pow(self.power)

    @property
    def forbids(self) -> bool:
        """Never."""
        return False


class FunctionCost(Cost):
    """Any function of `(n, d)` and `(m, d)` that returns `(n, m)`, differentiable if need be.

    Infinity forbids a pair.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = function

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        table = self.function(x, y)
        expected = (len(x), len(y))
        if not isinstance(table, Tensor) or tuple(table.shape) != expected:
            found = tuple(table.shape) if isinstance(table, Tensor) else type(table).__name__
            raise InputError(f"cost returns a tensor {expected} for such states, not {found}")
        if bool((table.isnan() | (table == -torch.inf)).any()):
            raise InputError("cost returns NaN or minus infinity: infinity forbids a pair")
        return table.to(x)


CostLike = Cost | Callable[[Tensor, Tensor], Tensor]


def resolve(cost: CostLike) -> Cost:
    """The cost itself, or a function as one. Raises `InputError` for anything else.

    >>> resolve(lambda x, y: (x[:, None] - y).abs().sum(-1))(torch.zeros(1, 1), torch.ones(2, 1))
    tensor([[1., 1.]])
    """
    if isinstance(cost, Cost):
        return cost
    if callable(cost) and not isinstance(cost, type):
        return FunctionCost(cost)
    raise InputError(
        f"cost is a Cost such as SquaredEuclidean() or PowerNorm(p=1), or a function of (n, d) "
        f"and (m, d), not {cost!r}"
    )
