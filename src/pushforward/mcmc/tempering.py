r"""Parallel tempering: chains at several temperatures that exchange their states.

Replicas of the densities `p_b` proportional to `p_0^(1 - b) p_1^b`, `b` from 0 to 1, move on their
own; then neighbors at `b_i < b_j` exchange states with the chance

    min(1, exp((b_j - b_i) (D_i - D_j))),   D = log p_1 - log p_0,

which leaves their product invariant (Swendsen & Wang 1986; Geyer 1991). Even and odd pairs take
turns, so that a state travels up or down without turning round at random, and the temperatures are
placed where all exchanges are refused alike often (Syed et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve, uniform_like
from pushforward.checks import whole
from pushforward.errors import InputError
from pushforward.mcmc.annealed import temperatures
from pushforward.mcmc.hmc import HMC
from pushforward.mcmc.kernel import MarkovKernel
from pushforward.mcmc.target import LogDensity
from pushforward.mcmc.windowed import DualAveraging, spent, started
from pushforward.protocols import Distribution

__all__ = ["TemperedChains", "exchanged", "parallel_tempering"]

_ROUNDS = 4
"""Parts of the warm-up, each with a ladder of its own."""


@dataclass(frozen=True)
class TemperedChains:
    """Draws at the coldest temperature, and how well states travel.

    Args:
        x: the states at `b = 1`, `(draws, chains, *event)`.
        log_p: their log-densities up to a constant, `(draws, chains)`.
        betas: the inverse temperatures, `(K,)`.
        refused: the share of exchanges refused between neighbors, `(K - 1,)`.
        restarts: how often a state that had been drawn from the base reached the target, in all
            chains together: the number of independent starts that the draws know of.
        evaluations: of the log-density, per chain and temperature.
    """

    x: Tensor
    log_p: Tensor
    betas: Tensor
    refused: Tensor
    restarts: int
    evaluations: float

    @property
    def barrier(self) -> float:
        """The sum of the refused shares: as many temperatures, and a few more, are needed."""
        return float(self.refused.sum())

    def warnings(self) -> list[str]:
        """What to know before these draws are used, in sentences."""
        found = []
        if (worst := float(self.refused.max())) > 0.8:
            found.append(
                f"Up to {worst:.0%} of the exchanges between neighbors are refused: take about "
                f"{max(len(self.betas) + 1, math.ceil(2 * self.barrier) + 1)} temperatures."
            )
        if self.restarts < 10 * self.x.shape[1]:
            found.append(
                f"{self.restarts} states came from the base to the target in {self.x.shape[1]} "
                "chains: the weights of modes that lie apart are not known; draw longer."
            )
        return found


def exchanged(
    difference: Tensor, betas: Tensor, odd: bool, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Where the state of each place comes from, `(K, B)`, and which exchanges are accepted.

    Args:
        difference: `log p_1 - log p_0` of each state, `(K, B)`.
        betas: inverse temperatures, `(K,)`.
        odd: which pairs: (1, 2), (3, 4), ... or (0, 1), (2, 3), ...
        generator: for the noise.

    The chances of the accepted are `(pairs, B)`.

    >>> up = torch.tensor([[5.0], [1.0]])
    >>> exchanged(up, torch.tensor([0.0, 1.0]), False)[0].tolist()
    [[1], [0]]
    """
    count, chains = difference.shape
    low = torch.arange(int(odd), count - 1, 2, device=difference.device)
    gap = (betas[low + 1] - betas[low])[:, None]
    chance = (gap * (difference[low] - difference[low + 1])).exp().clamp(max=1).nan_to_num(nan=0.0)
    # One row of noise for each chain.
    u = uniform_like(chance.mT.contiguous(), generator).mT
    swap = u < chance
    place = torch.arange(count, device=difference.device)[:, None].repeat(1, chains)
    place[low] += swap.long()
    place[low + 1] -= swap.long()
    return place, chance


@torch.no_grad()
def parallel_tempering(
    log_p: LogDensity,
    base: Distribution,
    chains: int = 16,
    draws: int = 1000,
    *,
    betas: int | Sequence[float] = 10,
    kernel: MarkovKernel | None = None,
    warmup: int = 500,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> TemperedChains:
    """Draws from a density with modes that lie apart.

    Args:
        log_p: a log-density up to a constant, `(B, *event) -> (B,)`, of any rows.
        base: a normalized distribution that reaches wherever the target does. The hottest chain is
            drawn from it anew at each step.
        chains: independent copies of the ladder, in one batch.
        draws: of each, after warm-up.
        betas: inverse temperatures from 0 to 1, or how many: then warm-up places them.
        kernel: `HMC` with 5 leapfrog steps by default.
        warmup: steps in which step sizes and temperatures adapt.
        seed: for all randomness; or give a `generator`.
        callback: called after each step.

    Raises `InputError` for temperatures that do not increase from 0 to 1.

    >>> from pushforward.distributions import GaussianMixture, Normal
    >>> law = GaussianMixture(torch.tensor([[-8.0], [8.0]]), 1.0, torch.tensor([0.25, 0.75]))
    >>> found = parallel_tempering(law.log_prob, Normal((1,), 10.0), 16, 200, seed=0)
    >>> 0.6 < float((found.x > 0).float().mean()) < 0.9
    True
    """
    whole("chains", chains)
    whole("draws", draws)
    whole("warmup", warmup, least=0)
    kernel = HMC(leapfrogs=5) if kernel is None else kernel
    adapts = isinstance(betas, int)
    ladder = torch.tensor(temperatures(betas) if isinstance(betas, int) else tuple(betas))
    if not (ladder[0] == 0 and ladder[-1] == 1 and bool((ladder.diff() > 0).all())):
        raise InputError(f"inverse temperatures increase from 0 to 1, not {ladder.tolist()}")
    count = len(ladder)
    noise = resolve(seed, generator)
    x = base.sample(count * chains, generator=noise)
    event = x.shape[1:]
    ladder = ladder.to(x)
    averaging = [DualAveraging.around(float(kernel.step)) for _ in range(count)]
    origin = torch.arange(count, device=x.device)[:, None].repeat(1, chains) == 0
    refused = torch.zeros(count - 1, dtype=torch.float64)
    tried = torch.zeros(count - 1, dtype=torch.float64)
    kept: list[tuple[Tensor, Tensor]] = []
    restarts, cost = 0, 0.0
    rounds = {warmup * k // _ROUNDS for k in range(1, _ROUNDS + 1)} if adapts else set()
    for k in range(warmup + draws):
        rows = ladder.repeat_interleave(chains)

        def tempered(x: Tensor, rows: Tensor = rows) -> Tensor:
            # A state where the target vanishes is still one of the base.
            hot, cold = base.log_prob(x), log_p(x)
            return torch.where(rows == 0, hot, torch.lerp(hot, cold, rows))

        final = k >= warmup
        logs = [a.average if final and a.steps else a.log_step for a in averaging]
        step = torch.tensor(logs).exp().to(x).repeat_interleave(chains)
        move = kernel.move(tempered, started(kernel, tempered, x), step, noise)
        cost += spent(kernel, move) + 1
        if not final and kernel.target is not None:
            mean = move.acceptance.view(count, chains).mean(1).tolist()
            averaging = [
                a.after(rate, kernel.target) for a, rate in zip(averaging, mean, strict=True)
            ]
        x = move.state.x
        x[:chains] = base.sample(chains, generator=noise)
        own = log_p(x)
        difference = (own - base.log_prob(x)).view(count, chains)
        place, chance = exchanged(difference, ladder, bool(k % 2), noise)
        pairs = slice(k % 2, count - 1, 2)
        refused[pairs] += 1 - chance.mean(1).double().cpu()
        tried[pairs] += 1
        rank = (place * chains + torch.arange(chains, device=x.device)).flatten()
        x, own = x[rank], own[rank]
        origin = origin.gather(0, place)
        arrived = origin[-1].clone()
        origin[-1], origin[0] = False, True
        if final:
            restarts += int(arrived.sum())
            kept.append((x[-chains:].clone(), own[-chains:].clone()))
        elif k + 1 in rounds:
            ladder = _placed(ladder, refused / tried.clamp(min=1))
        if k + 1 in rounds or k + 1 == warmup:
            refused, tried = torch.zeros_like(refused), torch.zeros_like(tried)
        if callback is not None:
            callback()
    return TemperedChains(
        torch.stack([a for a, _ in kept]).view(draws, chains, *event),
        torch.stack([b for _, b in kept]),
        ladder, refused / tried.clamp(min=1), restarts, cost,
    )  # fmt: skip


def _placed(ladder: Tensor, refused: Tensor) -> Tensor:
    """Temperatures between which equal shares of the barrier lie, which grows linearly between."""
    barrier = torch.cat([refused.new_zeros(1), refused.clamp(min=1e-3).cumsum(0)])
    wanted = torch.linspace(0, 1, len(ladder), dtype=barrier.dtype) * barrier[-1]
    k = torch.searchsorted(barrier, wanted[1:-1], right=True).clamp(1, len(ladder) - 1)
    share = (wanted[1:-1] - barrier[k - 1]) / (barrier[k] - barrier[k - 1])
    known = ladder.double().cpu()
    inner = known[k - 1] + share * (known[k] - known[k - 1])
    return torch.cat([known[:1], inner, known[-1:]]).to(ladder)
