r"""The scaling problem of entropic optimal transport, and Sinkhorn's step.

The plan is `P = diag(u) K diag(v)` for a kernel with absorbed potentials. Given `v`, the row
scaling `u` is exact; what is left is a concave function of `g = epsilon log v`, with gradient
`target - column sums`. A Sinkhorn step takes `v` from `u` as `u` from `v`. It contracts by a
constant that nears 1 as `epsilon` falls; `newton` has the step that is taken then, and `solver`
the iteration.

Where marginals do not bind, a constant moved from one potential to the other changes the masses
that they ask for. Sinkhorn's step corrects it by a factor of `epsilon / tau` at a time; here it is
optimal in closed form after every sweep (Séjourné, Vialard & Peyré 2022: translation-invariant
Sinkhorn).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.ot.kernels import GibbsKernel

__all__ = ["Budget", "Marginals", "Problem", "ScalingState"]

_LOGARITHMIC = 100  # steps in the log domain that bring all columns into range


@dataclass(frozen=True)
class Marginals:
    """Positive weights `(n,)` and `(m,)`, and how strictly the plan is to meet them.

    `tau` is the weight of the Kullback-Leibler penalty on each marginal; infinity binds it.
    """

    a: Tensor
    b: Tensor
    tau_a: float = math.inf
    tau_b: float = math.inf

    @property
    def binding(self) -> bool:
        """Whether both are to be met."""
        return math.isinf(self.tau_a) and math.isinf(self.tau_b)


@dataclass
class Budget:
    """Sweeps of a kernel: how many there may be, and how many there were."""

    most: int
    spent: int = 0

    @property
    def left(self) -> int:
        """How many there still may be."""
        return self.most - self.spent


class ScalingState:
    """A column scaling, with everything that one sweep of the kernel says about it.

    `shift` is a constant that has been moved to `g` from `f` since both were absorbed.
    """

    def __init__(self, problem: Problem, log_v: Tensor, shift: float = 0.0) -> None:
        p, epsilon = problem, problem.epsilon
        tau_a, tau_b = p.marginals.tau_a, p.marginals.tau_b
        self.log_v, self.v = log_v, log_v.exp()
        self.u = torch.empty_like(p.f0)
        f0, g0 = p.f0 - shift, p.g0 + shift

        def through(y: Tensor, rows: slice) -> Tensor:
            if math.isinf(tau_a):
                self.u[rows] = p.marginals.a[rows] / y
            else:
                logs = y.log().add_(f0[rows] / tau_a)
                self.u[rows] = p.marginals.a[rows] * logs.mul_(-p.shrink_a).exp_()
            return self.u[rows]

        self.y, self.z = p.kernel.sweep(self.v, through)
        self.column = self.v * self.z
        self.target = p.marginals.b
        if not math.isinf(tau_b):
            g = g0 + epsilon * (log_v - p.log_b)
            self.target = self.target * (-g / tau_b).exp()
        if not p.marginals.binding:
            ratio = float(self.target.sum() / self.column.sum())
            if 0 < ratio < math.inf:
                # The masses of target and column change by the two exponents: make them equal.
                move = math.log(ratio) / (1 / tau_b + 1 / (tau_a + epsilon))
                factor = math.exp(move / (tau_a + epsilon))
                shift, f0, g0 = shift + move, f0 - move, g0 + move
                self.target = self.target * math.exp(-move / tau_b)
                self.u, self.z = self.u * factor, self.z * factor
                self.column = self.column * factor
        self.f0, self.g0, self.shift = f0, g0, shift
        self.error = float((self.target - self.column).abs().sum())

    @property
    def representable(self) -> bool:
        """Whether no column is out of the range of the kernel."""
        return math.isfinite(self.error) and bool((self.z > 0).all())


class Problem:
    """Scaling at one `epsilon`, from a potential `g` against the counting measure."""

    def __init__(
        self, kernel: GibbsKernel, marginals: Marginals, epsilon: float, g: Tensor
    ) -> None:
        self.kernel, self.marginals, self.epsilon = kernel, marginals, epsilon
        self.shrink_a = 1 / (1 + epsilon / marginals.tau_a)
        self.shrink_b = 1 / (1 + epsilon / marginals.tau_b)
        self.log_a, self.log_b = marginals.a.log(), marginals.b.log()
        # Beyond this a scaling could lift entries that the kernel has lost to underflow.
        self.reach = -0.3 * math.log(torch.finfo(g.dtype).tiny)
        self.absorb(epsilon * self.log_a, g)

    def absorb(self, f: Tensor, g: Tensor) -> None:
        """Take potentials into the kernel."""
        self.f0, self.g0 = self.kernel.absorb(f, g, self.epsilon), g

    def potentials(self, state: ScalingState) -> tuple[Tensor, Tensor]:
        """Those of a state, against the counting measure."""
        # Not from `u`, which underflows where almost no mass is left.
        log_u = self.log_a - self.shrink_a * (state.y.log() + state.f0 / self.marginals.tau_a)
        return state.f0 + self.epsilon * log_u, state.g0 + self.epsilon * state.log_v

    def start(self, budget: Budget) -> ScalingState:
        """The state at the absorbed potentials, made representable within the budget."""
        state = ScalingState(self, torch.zeros_like(self.g0))
        budget.spent += 1
        for _ in range(min(_LOGARITHMIC, budget.left)):
            if state.representable:
                break
            # A column lies out of the range of the kernel: a step in the log domain brings it in.
            f, _ = self.potentials(state)
            softmin = self.kernel.column_softmin(f, self.epsilon)
            self.absorb(f, self.epsilon * self.log_b + self.shrink_b * softmin)
            state = ScalingState(self, torch.zeros_like(self.g0))
            budget.spent += 1
        return state

    def sinkhorn(self, state: ScalingState, budget: Budget) -> ScalingState:
        """One Sinkhorn step, absorbed if it is large."""
        log_v = self.sinkhorn_step(state)
        if float(log_v.abs().max()) <= self.reach:
            moved = ScalingState(self, log_v, state.shift)
            budget.spent += 1
            if moved.representable:
                return moved
        return self.absorbed(state, log_v, budget) if budget.left else state

    def sinkhorn_step(self, state: ScalingState) -> Tensor:
        """The column scaling that is exact given the rows'."""
        return self.log_b - self.shrink_b * (state.z.log() + state.g0 / self.marginals.tau_b)

    def absorbed(self, state: ScalingState, log_v: Tensor, budget: Budget) -> ScalingState:
        """The state of a column scaling beside that of another state, with all of it absorbed."""
        self.absorb(state.f0, state.g0 + self.epsilon * log_v)
        return self.start(budget)
