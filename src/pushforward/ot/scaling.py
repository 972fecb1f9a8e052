r"""The scaling iteration of entropic optimal transport, ended by Newton's method.

The plan is `P = diag(u) K diag(v)` for a kernel with absorbed potentials. Given `v`, the row
scaling `u` is exact; what is left is a concave function of `g = epsilon log v`, with gradient
`target - column sums`. A Sinkhorn step takes `v` from `u` as `u` from `v`. It contracts by a
constant that nears 1 as `epsilon` falls; once it does so slowly, Newton's step is taken instead,
with the system `diag(c) - P' diag(1/r) P` solved by conjugate gradients: each of their iterations
costs what a Sinkhorn step costs, and they need the square root of the number, or fewer since the
spectrum of smooth kernels decays fast. A Newton step that does not lower the marginal error is not
taken, and a Sinkhorn step never raises it: the method converges wherever Sinkhorn's does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.ot.kernels import GibbsKernel

__all__ = ["Marginals", "Outcome", "solve"]

_SLOW = 0.5  # the contraction of a Sinkhorn step from which Newton's may pay
_REDUCTION = 0.1  # of the residual, by conjugate gradients, in one Newton step
_LONGEST = 12.0  # change of a logarithm in one Newton step
_HALVINGS = 3
_STALLED = 100  # Sinkhorn steps without progress, after which rounding is what is left
_WORTHWHILE = 0.9  # the error that counts as progress, over the best, if there is another way
_LOGARITHMIC = 100  # steps in the log domain that bring all columns into range
_FORGIVING = 1.02  # the growth in a Sinkhorn step of the error below which Newton's is tried
_PATIENCE = 60  # conjugate gradients in one Newton step


@dataclass(frozen=True)
class Marginals:
    """Positive weights `(n,)` and `(m,)`, and how strictly the plan is to meet them.

    `tau` is the weight of the Kullback-Leibler penalty on each marginal; infinity binds it.
    """

    a: Tensor
    b: Tensor
    tau_a: float = math.inf
    tau_b: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """Where the iteration stopped: potentials against the counting measure, and after how long."""

    f: Tensor
    g: Tensor
    iterations: int


class _State:
    """A column scaling, with everything that one sweep of the kernel says about it."""

    def __init__(self, problem: _Problem, log_v: Tensor) -> None:
        p = problem
        self.log_v, self.v = log_v, log_v.exp()
        self.u = torch.empty_like(p.f0)

        def through(y: Tensor, rows: slice) -> Tensor:
            if math.isinf(p.marginals.tau_a):
                self.u[rows] = p.marginals.a[rows] / y
            else:
                logs = y.log().add_(p.f0[rows] / p.marginals.tau_a)
                self.u[rows] = p.marginals.a[rows] * logs.mul_(-p.shrink_a).exp_()
            return self.u[rows]

        self.y, self.z = p.kernel.sweep(self.v, through)
        self.column = self.v * self.z
        self.target = p.target(log_v)
        self.error = float((self.target - self.column).abs().sum())

    @property
    def representable(self) -> bool:
        """Whether no column is out of the range of the kernel."""
        return math.isfinite(self.error) and bool((self.z > 0).all())


class _Problem:
    """Scaling at one `epsilon`."""

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

    def target(self, log_v: Tensor) -> Tensor:
        """The column sums that the second marginal asks for."""
        if math.isinf(self.marginals.tau_b):
            return self.marginals.b
        g = self.g0 + self.epsilon * (log_v - self.log_b)
        return self.marginals.b * (-g / self.marginals.tau_b).exp()

    def potentials(self, state: _State) -> tuple[Tensor, Tensor]:
        """Those of a state, against the counting measure."""
        # Not from `u`, which underflows where almost no mass is left.
        log_u = self.log_a - self.shrink_a * (state.y.log() + self.f0 / self.marginals.tau_a)
        return self.f0 + self.epsilon * log_u, self.g0 + self.epsilon * state.log_v

    def start(self) -> tuple[_State, int]:
        """The state at the absorbed potentials, and the sweeps it took to make it representable."""
        state = _State(self, torch.zeros_like(self.g0))
        sweeps = 1
        while not state.representable and sweeps < _LOGARITHMIC:
            # A column lies out of the range of the kernel: a step in the log domain brings it in.
            f, _ = self.potentials(state)
            softmin = self.kernel.column_softmin(f, self.epsilon)
            self.absorb(f, self.epsilon * self.log_b + self.shrink_b * softmin)
            state = _State(self, torch.zeros_like(self.g0))
            sweeps += 1
        return state, sweeps

    def sinkhorn(self, state: _State) -> tuple[_State, int]:
        """One Sinkhorn step, absorbed if it is large."""
        return self.moved(self.sinkhorn_step(state))

    def sinkhorn_step(self, state: _State) -> Tensor:
        """The column scaling that is exact given the rows'."""
        return self.log_b - self.shrink_b * (state.z.log() + self.g0 / self.marginals.tau_b)

    def moved(self, log_v: Tensor) -> tuple[_State, int]:
        """The state of a column scaling, absorbed if it is large."""
        if float(log_v.abs().max()) <= self.reach:
            state = _State(self, log_v)
            if state.representable:
                return state, 1
        self.absorb(self.f0, self.g0 + self.epsilon * log_v)
        return self.start()

    def newton(self, state: _State, reduction: float, budget: int) -> tuple[Tensor, int]:
        """The Newton step in `log v`, and how many sweeps it took."""
        back = self.shrink_a * state.u / state.y
        diagonal = state.column
        if not math.isinf(self.marginals.tau_b):
            diagonal = diagonal + self.epsilon / self.marginals.tau_b * state.target

        def hessian(q: Tensor) -> Tensor:
            _, out = self.kernel.sweep(state.v * q, lambda y, rows: back[rows] * y)
            return torch.addcmul(diagonal * q, state.v, out, value=-1)

        residual = state.target - state.column
        goal = reduction * state.error
        step = torch.zeros_like(residual)
        scaled = residual / diagonal
        direction, product = scaled, residual @ scaled
        for sweeps in range(budget):
            if float(residual.abs().sum()) <= goal:
                return step, sweeps
            image = hessian(direction)
            curvature = direction @ image
            if not float(curvature) > 0:
                return step, sweeps + 1
            size = product / curvature
            step = step + size * direction
            residual = residual - size * image
            scaled = residual / diagonal
            product, last = residual @ scaled, product
            direction = scaled + product / last * direction
        return step, budget


def solve(
    kernel: GibbsKernel,
    marginals: Marginals,
    levels: Iterable[float],
    g: Tensor,
    *,
    tolerance: float,
    coarse: float,
    careful: Sequence[float] = (),
    max_iterations: int,
    newton: bool = True,
) -> Outcome:
    """Scale a kernel to its marginals, along falling values of `epsilon`.

    Args:
        levels: the values of `epsilon`; the last is the one meant.
        g: where the second potential starts, `(m,)`, against the second marginal.
        tolerance: the `L1` error of the marginals at which to stop.
        coarse: the same at all levels but the last.
        careful: levels to start again with, each to the full tolerance, if the error stays.
        max_iterations: sweeps of the kernel, conjugate gradients included.
    """
    levels = list(levels)
    log_b = marginals.b.log()
    spent = 0
    again = len(careful) > 1
    worthwhile = _WORTHWHILE if again else 1.0
    for level in levels:
        goal = tolerance if level == levels[-1] else max(coarse, tolerance)
        problem = _Problem(kernel, marginals, level, g + level * log_b)
        state, used = problem.start()
        spent += used
        trusted, rate, stalled, best = 1.0, 0.0, 0, state.error
        while goal < state.error < math.inf and spent < max_iterations and stalled < _STALLED:
            before = state.error
            if newton and rate > _SLOW and before < trusted:
                budget = min(_PATIENCE, max_iterations - spent)
                state, used, trusted = _newton(problem, state, goal, trusted, budget)
                rate = 1.0
                spent += used
                if state.error < before:
                    continue
            state, used = problem.sinkhorn(state)
            spent += used
            rate = state.error / before
            trusted *= _FORGIVING
            stalled += 1
            if state.error < worthwhile * best:
                stalled, best = 0, state.error
        f, counted = problem.potentials(state)
        g = counted - level * log_b
    if stalled == _STALLED and again:
        # Mass that should have moved at a larger epsilon cannot any more: do each level well.
        left = max(max_iterations - spent, 1)
        outcome = solve(
            kernel, marginals, careful, torch.zeros_like(g),
            tolerance=tolerance, coarse=tolerance, max_iterations=left, newton=newton,
        )  # fmt: skip
        return replace(outcome, iterations=outcome.iterations + spent)
    return Outcome(f, counted, spent)


def _newton(
    problem: _Problem, state: _State, goal: float, trusted: float, budget: int
) -> tuple[_State, int, float]:
    """A Newton step, shortened until it lowers the error; the old state if it does not."""
    spent = 0
    if float(state.log_v.abs().max()) > 0.5 * problem.reach:
        # Trials are not absorbed, since the old state must stay good if they fail.
        problem.absorb(problem.f0, problem.g0 + problem.epsilon * state.log_v)
        state, spent = problem.start()
    reduction = max(_REDUCTION, 0.5 * goal / state.error)
    step, used = problem.newton(state, reduction, budget)
    spent += used
    # Far from the solution single columns overshoot; a Sinkhorn step after Newton's repairs them.
    step = step.clamp(-_LONGEST, _LONGEST)
    size = 1.0
    for _ in range(_HALVINGS):
        moved = _State(problem, state.log_v + size * step)
        spent += 1
        if moved.representable:
            if moved.error > goal:
                moved = _State(problem, problem.sinkhorn_step(moved))
                spent += 1
            if moved.representable and moved.error < (1 - 0.3 * size) * state.error:
                return moved, spent, max(trusted, state.error)
        size *= 0.4
    return state, spent, 0.3 * state.error
