"""Schrödinger bridges between finite sets of points, on any space with a reference whose kernel is
known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import categories, resolve
from pushforward.errors import InputError
from pushforward.processes import ControlledReference
from pushforward.protocols import Time

__all__ = ["AnalyticAtoms"]

_SWEEPS, _CLOSE = 10_000, 1e-13


@dataclass(frozen=True)
class AnalyticAtoms:
    r"""Weighted points at both ends, joined by a Schrödinger bridge: points of a manifold, or
    sequences of symbols.

    The coupling of the ends is the entropic plan with the kernel `k` of the reference,
    `P_ij = f_i k_1(x_i, y_j) g_j` with the marginals `a` and `b` (Schrödinger 1931; Léonard 2014),
    found by Sinkhorn's iterations to 1e-13. At a time `r` from the points `y` a path is led by
    `h(x) = sum_j g_j k_r(x, y_j)` (Doob's transform), with the drift `sigma^2 grad log h` on a
    manifold, and likewise the other way.

    Args:
        process: the reference.
        target: points `(m, *event)` at `t = 0`.
        source: points `(n, *event)` at `t = 1`.
        target_weights: `(m,)`, equal by default.
        source_weights: `(n,)`, equal by default.

    Raises `InputError` for weights that do not fit, or if the plan does not converge.

    >>> from pushforward.processes import ManifoldBridge
    >>> from pushforward.spaces import Torus
    >>> ends = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[0.5], [2.0]]).double()
    >>> AnalyticAtoms(ManifoldBridge(Torus(), 0.5), *ends).plan.sum(1)
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """

    process: ControlledReference
    target: Tensor
    source: Tensor
    target_weights: Tensor | None = None
    source_weights: Tensor | None = None

    def __post_init__(self) -> None:
        a = _shares(self.target_weights, len(self.target))
        b = _shares(self.source_weights, len(self.source))
        n, m = len(self.source), len(self.target)
        kernel = self._log_kernel(
            state.to(self.target.repeat_interleave(n, 0), dtype=torch.float64),
            self._repeated(self.source, m),
            1.0,
        ).reshape(m, n)
        f, g = a.new_zeros(m), b.new_zeros(n)
        for _ in range(_SWEEPS):
            f = a.log() - torch.logsumexp(kernel + g, 1)
            g = b.log() - torch.logsumexp(kernel + f.unsqueeze(1), 0)
            plan = (f.unsqueeze(1) + kernel + g).exp()
            if float((plan.sum(1) - a).abs().max()) < _CLOSE:
                break
        else:
            raise InputError(
                f"the plan has not converged in {_SWEEPS:,} iterations: {self.process} hardly "
                "reaches one set from the other"
            )
        for name, value in (("plan", plan), ("_logs", (f, g))):
            object.__setattr__(self, name, value)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """`n` coupled pairs `(x_0, x_1)` of target and source."""
        plan: Tensor = self.plan  # type: ignore[attr-defined]
        drawn = categories(plan.flatten(), n, resolve(seed, generator, rows=n))
        return self.target[drawn // plan.shape[1]], self.source[drawn % plan.shape[1]]

    def control(self, x: Tensor, t: Time, *, forward: bool) -> Tensor:
        """The control at states `(B, *event)`: forward to the target at `t = 0`, or to the source.

        Raises `InputError` at the end itself where that is a drift, which has no limit there.
        """
        ends = self.target if forward else self.source
        logs = self._logs[0 if forward else 1]  # type: ignore[attr-defined]
        remaining = t if forward else 1 - t
        m = len(ends)
        many, times = x.repeat_interleave(m, 0), remaining
        if isinstance(times, Tensor) and times.ndim:
            times = times.repeat_interleave(m)
        kernel = self._log_kernel(many, self._repeated(ends, len(x)), times).reshape(-1, m)
        chances = torch.softmax(kernel + logs.to(kernel), 1)
        return self.process.expected_control(x, ends, chances, remaining)

    def _log_kernel(self, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        return self.process.log_kernel(x, end.to(x), remaining)

    @staticmethod
    def _repeated(points: Tensor, times: int) -> Tensor:
        return points.repeat(times, *(1,) * (points.ndim - 1))


def _shares(weights: Tensor | None, n: int) -> Tensor:
    """Weights that sum to one."""
    found = torch.ones(n) if weights is None else weights
    if tuple(found.shape) != (n,) or not bool((found > 0).all()):
        raise InputError(f"{n} points take as many positive weights, not {tuple(found.shape)}")
    return found.double() / found.double().sum()
