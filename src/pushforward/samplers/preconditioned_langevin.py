"""Langevin steps at falling levels of noise, in units of a covariance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._random import normal_like, resolve
from pushforward.errors import InputError

__all__ = ["PreconditionedLangevin"]


@dataclass(frozen=True)
class PreconditionedLangevin:
    r"""Unadjusted Langevin steps at each of falling times, `dx = h C s + sqrt(2 h C) noise`.

    For scores `s(x, t)` of distributions that are no noised ones, such as
    `guidance.FactorizedComposition`, which no reversed process leads through. `C` is about the
    covariance at each time: with it one `h` suits all directions. For a normal distribution of
    covariance `C` the variance comes out larger by `1 / (1 - h / 2)`; the last level takes as many
    more steps, with `h` falling to a tenth.

    Within modes that are far apart the density is steeper than `C` says, and steps would grow
    without bound. So `h` is divided by the curvature along the step before, in units of `C` and the
    mean over all states, where that is above 1: draws depend on the others to that extent.

    Args:
        steps: at each level.
        step: `h`, below 1.
        last: steps at the last level.

    Raises `InputError` for numbers out of range.

    >>> rule = PreconditionedLangevin()
    >>> start = torch.zeros(500, 1)
    >>> x = rule.run(lambda x, t: -x, lambda t: torch.eye(1), start, [1.0, 0.0], seed=0)
    >>> bool((x.var() - 1).abs() < 0.2)
    True
    """

    steps: int = 5
    step: float = 0.2
    last: int = 100

    def __post_init__(self) -> None:
        checks.whole("steps", self.steps)
        checks.whole("last", self.last)
        if not 0 < checks.positive("step", self.step) < 1:
            raise InputError(f"step is a fraction of the covariance, below 1, not {self.step}")

    @torch.no_grad()
    def run(
        self,
        score: Callable[[Tensor, float], Tensor],
        covariance: Callable[[float], Tensor],
        x: Tensor,
        times: Sequence[float],
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """States `(B, d)` at the last of the times, from states at the first."""
        grid = grids.check(times)
        generator = resolve(seed, generator, x.device, rows=len(x))
        curvature = 1.0
        for k, t in enumerate(grid):
            root = torch.linalg.cholesky(covariance(t)).to(x)
            many = self.last if k + 1 == len(grid) else self.steps
            slope = score(x, t) @ root
            for i in range(many):
                h = self.step / max(1.0, curvature)
                if k + 1 == len(grid):
                    h = h * 0.1 ** (i / max(many - 1, 1))
                move = h * slope + (2 * h) ** 0.5 * normal_like(x, generator)
                x = x + move @ root.mT
                if i + 1 < many:
                    before, slope = slope, score(x, t) @ root
                    curvature = float((move * (before - slope)).sum() / move.square().sum())
        return x
