r"""Newton's step of the scaling problem, where Sinkhorn's converge slowly.

The system is `diag(c) - P' diag(1/r) P`, with row sums `r` and column sums `c`. Conjugate gradients
solve it: each of their iterations costs what a Sinkhorn step costs, and they need the square root
of the number, or fewer since the spectrum of smooth kernels decays fast. Near an assignment it does
not: parts of the plan hang together by entries that are smaller than all others by many orders of
magnitude. What conjugate gradients do not solve within their patience is then factorized, if the
kernel has few enough columns for that to take no longer, and else given more patience.

A step that does not lower the marginal error is not taken, and a Sinkhorn step never raises it: the
method converges wherever Sinkhorn's does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.ot.scaling import Budget, Problem, ScalingState

__all__ = ["Newton"]

_REDUCTION = 0.1  # of the residual, by conjugate gradients, in one step
_LONGEST = 12.0  # change of a logarithm in one step
_HALVINGS = 3
_PATIENCE = 60  # conjugate gradients in one step, at first
_FACTORIZED = 2048  # columns up to which a factorization takes no longer than these
_LEAST = 4  # sweeps without which a step is not worth beginning
_JITTER = 8.0  # roundings added to the diagonal of a system, where it must be factorized


class Newton:
    """Steps at one `epsilon`, with what was learned of the systems on the way."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.patience = _PATIENCE
        self.factorizes = False
        self.trusted = 1.0
        """The error below which a step may pay."""

    def step(self, state: ScalingState, goal: float, budget: Budget) -> ScalingState:
        """A step, shortened until it lowers the error enough, or else that which lowers it most;
        the old state if none does.

        Where mass has to reach a pair whose entry is all but zero the error hardly falls until it
        does, however far the potentials have moved.
        """
        problem = self.problem
        if budget.left < _LEAST:
            return state
        if float(state.log_v.abs().max()) > 0.5 * problem.reach:
            # Trials are not absorbed, since the old state must stay good if they fail.
            state = problem.absorbed(state, state.log_v, budget)
        step = self._solved(state, goal, budget)
        # Far from the solution single columns overshoot; a Sinkhorn step after Newton's repairs
        # them.
        step = step.clamp(-_LONGEST, _LONGEST)
        size, lowest = 1.0, state
        for _ in range(_HALVINGS):
            if not budget.left:
                break
            moved = ScalingState(problem, state.log_v + size * step, state.shift)
            budget.spent += 1
            if moved.representable and moved.error > goal and budget.left:
                moved = ScalingState(problem, problem.sinkhorn_step(moved), moved.shift)
                budget.spent += 1
            if moved.representable and moved.error < (1 - 0.3 * size) * state.error:
                self.trusted = max(self.trusted, state.error)
                return moved
            if moved.representable and moved.error < lowest.error:
                lowest = moved
            size *= 0.4
        if lowest is state:
            self.trusted = 0.3 * state.error
        return lowest

    def _solved(self, state: ScalingState, goal: float, budget: Budget) -> Tensor:
        """The step in `log v`, as well as it pays to know it."""
        diagonal = state.column
        taus = self.problem.marginals
        if taus.tau_b < torch.inf:
            diagonal = diagonal + self.problem.epsilon / taus.tau_b * state.target
        back = self.problem.shrink_a * state.u / state.y
        # Two sweeps are left for the trial.
        patience = min(self.patience, budget.left - 2)
        reduction = max(_REDUCTION, 0.5 * goal / state.error)
        if not self.factorizes:
            step, solved = self._conjugate(state, diagonal, back, reduction, patience, budget)
            if solved or patience < self.patience:
                return step
            if len(diagonal) > _FACTORIZED:
                self.patience *= 2
                return step
            self.factorizes = True
            patience = min(self.patience, budget.left - 2)
        if patience < self.patience:
            return torch.zeros_like(diagonal)
        # Counted as the conjugate gradients that it stands for.
        budget.spent += patience
        return self._factorized(state, diagonal, back)

    def _conjugate(
        self,
        state: ScalingState,
        diagonal: Tensor,
        back: Tensor,
        reduction: float,
        patience: int,
        budget: Budget,
    ) -> tuple[Tensor, bool]:
        """By conjugate gradients, and whether they got as far as they should."""
        kernel = self.problem.kernel
        residual = state.target - state.column
        step = torch.zeros_like(residual)
        scaled = residual / diagonal
        direction, product = scaled, residual @ scaled
        for _ in range(patience):
            if float(residual.abs().sum()) <= reduction * state.error:
                return step, True
            _, out = kernel.sweep(state.v * direction, lambda y, rows: back[rows] * y)
            budget.spent += 1
            image = torch.addcmul(diagonal * direction, state.v, out, value=-1)
            curvature = direction @ image
            if not float(curvature) > 0:
                return step, False
            size = product / curvature
            step = step + size * direction
            residual = residual - size * image
            scaled = residual / diagonal
            product, last = residual @ scaled, product
            direction = scaled + product / last * direction
        return step, False

    def _factorized(self, state: ScalingState, diagonal: Tensor, back: Tensor) -> Tensor:
        """By Cholesky's factorization of the system, scaled to a unit diagonal."""
        root = diagonal.rsqrt()
        outer = state.v * root
        system = self.problem.kernel.gram(back).mul_(-outer).mul_(outer[:, None])
        if self.problem.marginals.binding:
            # A constant changes nothing: its direction, which is the root of the column sums, is
            # given a curvature of its own.
            constant = state.column.sqrt() / state.column.sum().sqrt()
            system.addr_(constant, constant)
        residual = (state.target - state.column) * root
        if system.device.type == "mps":
            # Which has no factorizations.
            system, residual = system.cpu(), residual.cpu()
        jitter = _JITTER * torch.finfo(system.dtype).eps
        system.diagonal().add_(1)
        while jitter < 1:
            system.diagonal().add_(jitter)
            factor, failed = torch.linalg.cholesky_ex(system)
            if not bool(failed):
                return root * torch.cholesky_solve(residual[:, None], factor)[:, 0].to(root)
            jitter *= 10
        # Not finite: no step is better than a wild one.
        return torch.zeros_like(diagonal)
