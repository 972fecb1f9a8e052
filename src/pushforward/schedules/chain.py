r"""The discrete chain of DDPM, and the continuous process whose skeleton it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from pushforward import checks
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.schedules.schedule import Schedule
from pushforward.schedules.standard import VP

__all__ = ["Chain"]


@configurable
@dataclass(frozen=True)
class Chain(Schedule):
    r"""The chain `q(x_k | x_{k-1}) = N(sqrt(1 - beta_k) x_{k-1}, beta_k I)` (Ho et al. 2020).

    Step `k` of `K` is time `t = k / K`. Its marginal there is exact, `alpha^2 = prod_{j <= k}
    (1 - beta_j)`; between the steps runs the VP process with constant rate that passes through
    them, so that every sampler and any number of steps can be used. On `processes.Gaussian` the
    chain's transition and posterior are `transition` and `pinned`, its ancestral step the `ddpm`
    sampler, and `grids.UniformGrid()` with `K` steps, `start=1` and `stop=0` visits exactly the
    chain.

    The last beta may be one, so that no signal is left at `t = 1` (`zero_terminal_snr`). The last
    step then runs with `alpha` straight to zero, and `t_max` is a thousandth of a step before 1.

    Args:
        betas: `(beta_1, ..., beta_K)`, each inside (0, 1), the last at most 1.

    Raises `InputError` naming the first beta outside (0, 1).

    >>> chain = Chain.linear(1000)
    >>> chain.betas[0], round(chain.betas[-1], 6)
    (0.0001, 0.02)
    >>> round(Chain((0.1, 0.2)).at(1.0).alpha ** 2, 12)
    0.72
    """

    betas: tuple[float, ...]
    preserves_variance = True
    _remembers = True

    def __post_init__(self) -> None:
        betas = tuple(float(beta) for beta in self.betas)
        if not betas:
            raise InputError("a chain needs at least one beta")
        for k, beta in enumerate(betas, start=1):
            if not 0 < beta < 1 and not (beta == 1 and k == len(betas)):
                raise InputError(
                    f"betas lie inside (0, 1), but beta_{k} is {beta}: take more steps or smaller "
                    "betas (the last one may be 1)"
                )
        object.__setattr__(self, "betas", betas)
        # The first step of the chain is the last that has noise to remove. One step alone is a
        # process with a constant rate, to be left where every other schedule is.
        if len(betas) > 1:
            object.__setattr__(self, "t_min", 1 / len(betas))
        if self._terminal:
            object.__setattr__(self, "t_max", 1 - 1e-3 / len(betas))

    @classmethod
    def linear(
        cls, steps: int = 1000, first: float | None = None, last: float | None = None
    ) -> Chain:
        """Betas in equal steps, by default from `0.1 / K` to `20 / K`: at 1000 steps those of Ho et
        al. (2020), and for any number the Euler discretization of `VP()` at its rates. That has
        none for `K <= 20`, where the betas would reach one: such a chain is the exact skeleton of
        `VP()` at `K` equal steps.
        """
        checks.whole("steps", steps)
        if first is None and last is None and steps <= 20:
            return cls.skeleton(VP(), [k / steps for k in range(1, steps + 1)])
        first = 0.1 / steps if first is None else first
        last = 20.0 / steps if last is None else last
        return cls(tuple(torch.linspace(first, last, steps, dtype=torch.float64).tolist()))

    @classmethod
    def scaled_linear(cls, steps: int = 1000, first: float = 0.00085, last: float = 0.012) -> Chain:
        """Betas whose square roots are in equal steps, by default those of Stable Diffusion
        (Rombach et al. 2022).
        """
        checks.whole("steps", steps)
        roots = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64)
        return cls(tuple(roots.square().tolist()))

    @classmethod
    def cosine(cls, steps: int = 1000, offset: float = 0.008, largest: float = 0.999) -> Chain:
        """The betas of Nichol & Dhariwal (2021, eq. 17), with their offset and their cap."""
        checks.whole("steps", steps)

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
        checks.whole("steps", steps)
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

    def zero_terminal_snr(self) -> Chain:
        r"""The chain rescaled to have no signal at its end (Lin et al. 2023, algorithm 1).

        `alpha` is shifted until it ends at zero and scaled back to its first value, `alpha_k ->
        (alpha_k - alpha_K) alpha_1 / (alpha_1 - alpha_K)`. Without it, samples keep the mean
        brightness that the last state of a chain like Stable Diffusion's still shows.

        Raises `InputError` for a chain of one step.

        >>> chain = Chain.scaled_linear().zero_terminal_snr()
        >>> chain.betas[0] == Chain.scaled_linear().betas[0], chain.betas[-1], chain.at(1.0).alpha
        (True, 1.0, 0.0)
        """
        if len(self.betas) < 2:
            raise InputError("a chain of one step has no first value of alpha beside its last one")
        alphas = self._log_alpha[1:].exp()
        if self._terminal:
            return self
        first, last = alphas[0], alphas[-1]
        scaled = (alphas - last) * first / (first - last)
        ratios = (scaled[1:] / scaled[:-1]).square()
        return Chain((self.betas[0], *(1 - ratios).tolist()))

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        steps = len(self.betas)
        logs = self._log_alpha.to(t.device)
        where = t.double().clamp(0, 1) * steps
        # The rounding of times must not put k / K into the step after the k-th.
        rounding = 2 * torch.finfo(t.dtype).eps
        step = (where * (1 - rounding)).ceil().long().clamp(1, steps)
        log_alpha = logs[step] + (where - step) * (logs[step] - logs[step - 1])
        # Not a minus sign, which would make the root of a negative zero at t = 0.
        alpha, variance = log_alpha.exp(), 0.0 - torch.expm1(2 * log_alpha)
        if self._terminal:
            # No rate is finite: the signal of the step before goes straight to zero.
            gone = (where - (steps - 1)).clamp(0, 1)
            variance = variance + alpha.square() * gone * (2 - gone)
            alpha = alpha * (1 - gone)
        return alpha.to(t.dtype), variance.clamp(min=0).sqrt().to(t.dtype)

    def _invert(self, log_snr: Tensor) -> Tensor:
        steps, logs = len(self.betas), self._log_alpha.to(log_snr.device)
        # alpha^2 + sigma^2 = 1, and log alpha is a straight line on each step.
        log_alpha = 0.5 * logsigmoid(log_snr)
        step = torch.searchsorted(-logs[: steps if self._terminal else None], -log_alpha)
        step = step.clamp(1, steps)
        begin = logs[step - 1]
        part = (log_alpha - begin) / (logs[step] - begin)
        if self._terminal:
            part = torch.where(step == steps, -torch.expm1(log_alpha - begin), part)
        return (step - 1 + part) / steps

    def chain_times(self, stop: float | None = None) -> list[float] | None:
        """The times `k / K`, those from `stop` on."""
        steps = len(self.betas)
        times = [k / steps for k in range(1, steps + 1)]
        return [t for t in times if stop is None or t >= stop]

    def __str__(self) -> str:
        return f"Chain({len(self.betas)} betas, {self.betas[0]:g} to {self.betas[-1]:g})"

    @property
    def _terminal(self) -> bool:
        """Whether nothing is left of the signal at the end."""
        return self.betas[-1] == 1.0

    @cached_property
    def _log_alpha(self) -> Tensor:
        """`log alpha` at steps `0..K`; without the last step, if it leaves nothing."""
        betas = torch.tensor(self.betas, dtype=torch.float64)
        if self._terminal:
            betas[-1] = 0.0
        return torch.cat([betas.new_zeros(1), 0.5 * torch.log1p(-betas).cumsum(0)])
