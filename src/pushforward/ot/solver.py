"""The iteration of entropic optimal transport: Sinkhorn's steps and Newton's, down to `epsilon`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pushforward.ot.kernels import GibbsKernel
from pushforward.ot.newton import Newton
from pushforward.ot.scaling import Budget, Marginals, Problem

__all__ = ["Outcome", "solve"]

_SLOW = 0.5  # the contraction of a Sinkhorn step from which Newton's may pay
_STALLED = 100  # Sinkhorn steps without progress, after which rounding is what is left
_NEWTON_STALLS = 10  # Sinkhorn steps that one of Newton's without progress counts as
_WORTHWHILE = 0.9  # the error that counts as progress, over the best, if there is another way
_FORGIVING = 1.02  # the growth in a Sinkhorn step of the error below which Newton's is tried
_COARSE = 0.01  # the marginal error at which to go on to a smaller epsilon
_CAREFUL = 1e-4  # the same on the second way down
_FEWEST = 4  # sweeps that a level is worth


@dataclass(frozen=True)
class Outcome:
    """Where the iteration stopped: potentials against the counting measure, and after how long.

    `exhausted` says that it would have gone on, and not that rounding is what is left.
    """

    f: Tensor
    g: Tensor
    error: float
    iterations: int
    exhausted: bool


def solve(
    kernel: GibbsKernel,
    marginals: Marginals,
    levels: Sequence[float],
    g: Tensor,
    *,
    tolerance: float,
    careful: Sequence[float] = (),
    max_iterations: int,
    newton: bool = True,
) -> Outcome:
    """Scale a kernel to its marginals, along falling values of `epsilon`.

    The best potentials that were seen are returned, whatever came after them.

    Args:
        levels: the values of `epsilon`; the last is the one meant.
        g: where the second potential starts, `(m,)`, against the second marginal.
        tolerance: the `L1` error of the marginals at which to stop.
        careful: levels to go down again from where the error stays, with half of the sweeps that
            are left, shared among them; the rest goes on from the best.
        max_iterations: sweeps of the kernel, those of Newton's steps included.
    """
    budget, found = Budget(max_iterations), []
    log_b = marginals.b.log()
    careful = careful if len(careful) > 1 else ()

    def descend(
        levels: Sequence[float], g: Tensor, coarse: float, share: Budget, way: bool
    ) -> bool:
        """Down the levels, and whether the last ended for want of progress."""
        # With few sweeps only the last levels are worth beginning.
        levels = levels[-max(share.most // _FEWEST, 1) :]
        for k, level in enumerate(levels):
            last = k == len(levels) - 1
            goal = tolerance if last else max(coarse, tolerance)
            part = share if last else Budget(max(share.left // (len(levels) - k), 1))
            problem = Problem(kernel, marginals, level, g + level * log_b)
            f, counted, error, stalled = _level(problem, goal, part, newton=newton, way=way)
            if not last:
                share.spent += part.spent
            g = counted - level * log_b
        found.append((error, f, counted))
        return stalled

    def best() -> tuple[float, Tensor, Tensor]:
        return min(found, key=lambda one: one[0])

    stalled = descend(levels, g, _COARSE, budget, bool(careful))
    if stalled and careful:
        # Mass that should have moved at a larger epsilon cannot any more.
        half = Budget(budget.left // 2)
        if half.most:
            descend(careful, best()[2] - levels[-1] * log_b, _CAREFUL, half, True)
            budget.spent += half.spent
        if best()[0] > tolerance and budget.left:
            stalled = descend(levels[-1:], best()[2] - levels[-1] * log_b, 0.0, budget, False)
    error, f, counted = best()
    return Outcome(f, counted, error, budget.spent, error > tolerance and not stalled)


def _level(
    problem: Problem, goal: float, budget: Budget, *, newton: bool, way: bool
) -> tuple[Tensor, Tensor, float, bool]:
    """The best potentials at one `epsilon`, their error, and whether there was no more progress.

    If there is another `way`, slow progress is none.
    """
    state = problem.start(budget)
    solver, rate, stalled = Newton(problem), 0.0, 0
    best, mark = state, state.error
    worthwhile = _WORTHWHILE if way else 1.0
    while goal < state.error < math.inf and budget.left and stalled < _STALLED:
        before = state.error
        if newton and rate > _SLOW and before < solver.trusted:
            state, rate = solver.step(state, goal, budget), 1.0
            if state.error < best.error:
                best = state
            stalled += _NEWTON_STALLS
        if state.error >= before and budget.left:
            state = problem.sinkhorn(state, budget)
            rate = state.error / before
            solver.trusted *= _FORGIVING
            stalled += 1
        if state.error < best.error:
            best = state
        if state.error < worthwhile * mark:
            stalled, mark = 0, state.error
    f, g = problem.potentials(best)
    return f, g, best.error, stalled >= _STALLED
