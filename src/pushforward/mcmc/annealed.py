r"""Annealing: from a distribution that is known to one that is known up to a constant.

The geometric path `log p_b = (1 - b) log p_0 + b log p_1` leads from a normalized one `p_0` at
`b = 0` to an unnormalized density `p_1` at `b = 1`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.importance import WIDEST_OF_CHAINS, log_mean
from pushforward.mcmc.adaptation import adapted
from pushforward.mcmc.hmc import HMC
from pushforward.mcmc.kernel import MarkovKernel
from pushforward.mcmc.target import LogDensity, evaluate
from pushforward.protocols import Distribution

__all__ = ["Annealed", "AnnealedPath", "anneal", "annealed_importance_sampling", "temperatures"]

_PILOTS = 64
"""Chains that find the step sizes: those of the estimate may not depend on their own states."""


class AnnealedPath(NamedTuple):
    """Where an annealed run ends.

    Args:
        x: the states, `(B, *event)`.
        log_weights: the logarithm of their importance weights, `(B,)`.
        diverged: chains that diverged at least once, `(B,)`.
        acceptance: the mean acceptance rate at each temperature.
        steps: the step size at each temperature, `(K,)`.
    """

    x: Tensor
    log_weights: Tensor
    diverged: Tensor
    acceptance: Tensor
    steps: Tensor


@dataclass(frozen=True)
class Annealed:
    """An estimate of a normalizing constant, with the states that gave it.

    Args:
        log_z: the logarithm of the estimate of the integral of `exp(log_p)`, which is unbiased.
        stderr: its standard error, by the weights (`importance.log_mean`).
        ess: how many equal weights would be as precise, `(sum w)^2 / sum w^2`.
        k_hat: the shape of the tail of the weights (`importance.pareto_shape`).
        converged: whether the estimate and its error can be trusted.
        x: states, `(n, *event)`; with their weights, a sample of the target.
        weights: the normalized weights, `(n,)`.
        diverged: chains that diverged at least once, `(n,)`.
        evaluations: gradients of the log-density per chain.
    """

    log_z: float
    stderr: float
    ess: float
    k_hat: float
    converged: bool
    x: Tensor
    weights: Tensor
    diverged: Tensor
    evaluations: int


def temperatures(count: int) -> tuple[float, ...]:
    """`count + 1` inverse temperatures from 0 to 1, closer together near 0: `(k / count)^2`.

    >>> temperatures(2)
    (0.0, 0.25, 1.0)
    """
    whole("temperatures", count)
    return tuple((k / count) ** 2 for k in range(count + 1))


@torch.no_grad()
def anneal(
    kernel: MarkovKernel,
    log_p: LogDensity,
    base: LogDensity,
    x: Tensor,
    betas: Sequence[float] | int,
    *,
    moves: int = 1,
    steps: Tensor | None = None,
    pilots: Tensor | None = None,
    resample: Callable[[Tensor], Tensor | None] | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> AnnealedPath:
    """Take states of the base along the geometric path, with some moves at each temperature.

    Args:
        kernel: `ULA`, `MALA` or `HMC`.
        log_p: the target's log-density up to a constant, `(B, *event) -> (B,)`.
        base: the base's log-density.
        x: states drawn from the base, `(B, *event)`.
        betas: inverse temperatures, increasing from 0 to 1, or how many.
        moves: steps of the kernel at each temperature.
        steps: the step size at each temperature but the first; by default they adapt to the
            chains, which biases the weights, if little.
        pilots: other states of the base, which go first and find the step sizes, so that the
            weights stay unbiased.
        resample: says by the log-weights `(B,)`, which it may change, which states to go on with,
            `(B,)`, or `None` for all: `PooledResampling`, which makes it sequential Monte Carlo.
        generator: for the noise.
        callback: called at each temperature.

    Raises `InputError` for temperatures or moves out of range.
    """
    whole("moves", moves)
    ladder = temperatures(betas) if isinstance(betas, int) else _check_betas(betas)
    if pilots is not None:
        found = anneal(kernel, log_p, base, pilots, ladder, moves=moves, generator=generator)
        steps = found.steps
    log_weights = torch.zeros_like(x.flatten(1)[:, 0])
    diverged = torch.zeros_like(log_weights).bool()
    step = torch.tensor(float(kernel.step), dtype=x.dtype, device=x.device)
    used, rates = [], []
    for k, (before, beta) in enumerate(pairwise(ladder)):
        log_weights += (beta - before) * (log_p(x) - base(x))
        picks = None if resample is None else resample(log_weights)
        if picks is not None:
            x, diverged = x[picks], diverged[picks]

        def at_temperature(x: Tensor, beta: float = beta) -> Tensor:
            return torch.lerp(base(x), log_p(x), beta)

        state = evaluate(at_temperature, x)
        for _ in range(moves):
            step = step if steps is None else steps[k]
            move = kernel.move(at_temperature, state, step, generator)
            state, diverged = move.state, diverged | move.diverged
            if steps is None:
                step = adapted(kernel, step, move.acceptance, gain=0.5)
        x = state.x
        used.append(step)
        rates.append(move.acceptance.mean())
        if callback is not None:
            callback()
    return AnnealedPath(x, log_weights, diverged, torch.stack(rates), torch.stack(used))


@torch.no_grad()
def annealed_importance_sampling(
    log_p: LogDensity,
    base: Distribution,
    n: int = 512,
    *,
    kernel: MarkovKernel | None = None,
    betas: Sequence[float] | int = 100,
    moves: int = 1,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> Annealed:
    """The normalizing constant of a density, by annealed importance sampling (Neal 2001).

    `n` chains go from the base to the target; the mean of their weights is an unbiased estimate of
    `Z`, if the kernel leaves its target invariant (`ULA` does so up to its step size). A few other
    chains find the step sizes first.

    Args:
        log_p: the log-density up to a constant, differentiable, `(B, *event) -> (B,)`.
        base: a normalized distribution that reaches wherever the target does: where it is many
            times narrower, all chains may fall short alike, and their weights need not tell.
        n: how many chains.
        kernel: `HMC()` with 5 leapfrog steps by default.
        betas: inverse temperatures, increasing from 0 to 1, or how many.
        moves: steps of the kernel at each temperature.
        seed: for all randomness; or give a `generator`.
        callback: called at each temperature.

    Warns of weights that degenerate, whose standard error is too small itself: see
    `importance.log_mean`. A chain that diverges stays where it is for one move, which leaves the
    estimate unbiased; what it costs shows in the weights. Raises `InputError` for arguments out of
    range.

    >>> from pushforward.distributions import Normal
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> found = annealed_importance_sampling(log_p, Normal((1,), 2.0), 200, betas=20, seed=0)
    >>> abs(found.log_z - 0.9189) < 4 * found.stderr
    True
    """
    whole("n", n, least=2)
    kernel = HMC(leapfrogs=5) if kernel is None else kernel
    generator = generator if seed is None and generator is not None else resolve(seed, generator)
    pilots, start = (base.sample(k, generator=generator) for k in (_PILOTS, n))
    path = anneal(
        kernel, log_p, base.log_prob, start, betas,
        moves=moves, pilots=pilots, generator=generator, callback=callback,
    )  # fmt: skip
    found = log_mean(path.log_weights, WIDEST_OF_CHAINS)
    log_z, stderr, ess, k_hat, converged = (part.item() for part in found)
    if not converged:
        warnings.warn(
            f"the annealed weights have not converged: their effective sample size is {ess:.1f} of "
            f"{n} chains, the shape of their tail {k_hat:.2f}, and {int(path.diverged.sum())} "
            "chains diverged on the way. log Z and its error are not to be trusted: take more "
            "temperatures or moves, more chains, or a wider base",
            ConvergenceWarning,
            stacklevel=2,
        )
    evaluations = len(path.steps) * (moves * kernel.evaluations + 1)
    weights = path.log_weights.cpu().double().softmax(0).to(path.x)
    return Annealed(
        log_z, stderr, ess, k_hat, bool(converged), path.x, weights, path.diverged, evaluations
    )


def _check_betas(betas: Sequence[float]) -> tuple[float, ...]:
    ladder = tuple(float(beta) for beta in betas)
    ordered = all(before < beta for before, beta in pairwise(ladder))
    if len(ladder) < 2 or ladder[0] != 0 or ladder[-1] != 1 or not ordered:
        raise InputError(f"inverse temperatures increase from 0 to 1, not {ladder}")
    return ladder
