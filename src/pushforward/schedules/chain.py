r"""The discrete chain of DDPM, and the continuous process whose skeleton it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.schedules.schedule import Schedule

__all__ = ["Chain"]


@configurable
@dataclass(frozen=True)
class Chain(Schedule):
    r"""The chain `q(x_k | x_{k-1}) = N(sqrt(1 - beta_k) x_{k-1}, beta_k I)` (Ho et al. 2020).

    Step `k` of `K` is time `t = k / K`. Its marginal there is exact, `alpha^2 = prod_{j <= k}
    (1 - beta_j)`; between the steps runs the VP process with constant rate that passes through
    them, so that every sampler and any number of steps can be used. On `processes.Gaussian` the
    chain's transition and posterior are `transition` and `pinned`, its ancestral step the `ddpm`
    sampler, and `grids.Uniform()` with `K` steps, `start=1` and `stop=0` visits exactly the chain.

    Args:
        betas: `(beta_1, ..., beta_K)`, each inside (0, 1).

    Raises `InputError` naming the first beta outside (0, 1).

    >>> chain = Chain.linear(1000)
    >>> chain.betas[0], round(chain.betas[-1], 6)
    (0.0001, 0.02)
    >>> round(Chain((0.1, 0.2)).at(1.0).alpha ** 2, 12)
    0.72
    """

    betas: tuple[float, ...]
    preserves_variance = True

    def __post_init__(self) -> None:
        betas = tuple(float(beta) for beta in self.betas)
        if not betas:
            raise InputError("a chain needs at least one beta")
        for k, beta in enumerate(betas, start=1):
            if not 0 < beta < 1:
                raise InputError(f"betas lie inside (0, 1), but beta_{k} is {beta}")
        object.__setattr__(self, "betas", betas)
        # The first step of the chain is the last that has noise to remove.
        object.__setattr__(self, "t_min", 1 / len(betas))

    @classmethod
    def linear(
        cls, steps: int = 1000, first: float | None = None, last: float | None = None
    ) -> Chain:
        """Betas in equal steps, by default from `0.1 / K` to `20 / K`: at 1000 steps those of Ho et
        al. (2020), and for any number the Euler discretization of `VP()` at its rates.
        """
        _check_steps(steps)
        first = 0.1 / steps if first is None else first
        last = 20.0 / steps if last is None else last
        return cls(tuple(torch.linspace(first, last, steps, dtype=torch.float64).tolist()))

    @classmethod
    def cosine(cls, steps: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Chain:
        """The betas of Nichol & Dhariwal (2021, eq. 17), with their offset and their cap."""
        _check_steps(steps)

        def level(k: int) -> float:
            return math.cos((k / steps + offset) / (1 + offset) * math.pi / 2) ** 2

        ratios = (1 - level(k) / level(k - 1) for k in range(1, steps + 1))
        return cls(tuple(min(ratio, largest) for ratio in ratios))

    @classmethod
    def ornstein_uhlenbeck(
        cls, steps: int = 1000, rate: float = 1.0, horizon: float = 5.0
    ) -> Chain:
        """The exact skeleton of `OU(rate, horizon)`: `beta = 1 - exp(-2 rate delta)`, with `delta =
        horizon / steps`.
        """
        _check_steps(steps)
        return cls((-math.expm1(-2 * rate * horizon / steps),) * steps)

    @classmethod
    def skeleton(cls, schedule: Schedule, times: Sequence[float]) -> Chain:
        """The chain that a variance-preserving schedule visits at times `t_1 < ... < t_K`.

        Raises `InputError` for another schedule: its steps are no `beta`s.
        """
        if not schedule.preserves_variance:
            raise InputError(f"{schedule} does not preserve variance: its steps are no betas")
        alphas = [float(schedule.at(t).alpha) for t in (0.0, *times)]
        return cls(tuple(1 - (b / a) ** 2 for a, b in pairwise(alphas)))

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        steps = len(self.betas)
        logs = self._log_alpha.to(t.device)
        where = t.double().clamp(0, 1) * steps
        # The rounding of times must not put k / K into the step after the k-th.
        rounding = 2 * torch.finfo(t.dtype).eps
        step = (where * (1 - rounding)).ceil().long().clamp(1, steps)
        log_alpha = logs[step] + (where - step) * (logs[step] - logs[step - 1])
        alpha, sigma = log_alpha.exp(), (-torch.expm1(2 * log_alpha)).clamp(min=0).sqrt()
        return alpha.to(t.dtype), sigma.to(t.dtype)

    def chain_times(self, stop: float | None = None) -> list[float] | None:
        """The times `k / K`, those from `stop` on."""
        steps = len(self.betas)
        times = [k / steps for k in range(1, steps + 1)]
        return [t for t in times if stop is None or t >= stop]

    def __str__(self) -> str:
        return f"Chain({len(self.betas)} betas, {self.betas[0]:g} to {self.betas[-1]:g})"

    @cached_property
    def _log_alpha(self) -> Tensor:
        """`log alpha` at steps `0..K`."""
        betas = torch.tensor(self.betas, dtype=torch.float64)
        return torch.cat([betas.new_zeros(1), 0.5 * torch.log1p(-betas).cumsum(0)])


def _check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"a chain has a whole number of steps, at least one, not {steps!r}")
