"""Chains of one kernel on one target."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.checks import positive, whole
from pushforward.errors import ConvergenceWarning
from pushforward.mcmc.adaptation import adapted
from pushforward.mcmc.kernel import MarkovKernel
from pushforward.mcmc.target import LogDensity, check_states
from pushforward.mcmc.windowed import spent, started

__all__ = ["Chains", "run"]

_MANY = 0.01
"""The share of all moves that may diverge without a word: as many proposals that are refused."""

_STUCK = 0.5
"""The same of one chain."""

_NEAR = 0.15
"""How far from its goal the acceptance rate may be after warm-up, beside its standard errors."""


@dataclass(frozen=True)
class Chains:
    """Where chains ended, and how they got there.

    Args:
        x: the last states, `(B, *event)`.
        log_p: their log-densities, up to a constant, `(B,)`.
        acceptance: the mean acceptance rate of each chain after warm-up, `(B,)`.
        diverged: chains that diverged at least once after warm-up, `(B,)`.
        step: the step size in use after warm-up.
        evaluations: of the log-density per chain, in the mean.
        adapted: whether the acceptance after warm-up is near what the kernel aims at, as far as the
            chains can tell; true without a warm-up, and for a kernel that aims at none.
        trace: the states after each step, `(steps, B, *event)`, if they were asked for.
    """

    x: Tensor
    log_p: Tensor
    acceptance: Tensor
    diverged: Tensor
    step: float
    evaluations: int
    adapted: bool
    trace: Tensor | None = None


@torch.no_grad()
def run(
    kernel: MarkovKernel,
    log_p: LogDensity,
    x: Tensor,
    steps: int,
    *,
    step: float | None = None,
    warmup: int = 0,
    trace: bool = False,
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> Chains:
    """Run chains from `x`, `(B, *event)`.

    Args:
        kernel: any of this package.
        log_p: a log-density up to a constant, `(B, *event) -> (B,)`, differentiable
            unless the kernel needs no gradient.
        x: where the chains start.
        steps: how many steps after warm-up.
        step: the size of the first step, in place of the kernel's.
        warmup: steps before, in which the step size adapts to the kernel's acceptance rate.
        trace: keep the states after each step.
        seed: for the noise; or give a `generator` on the device of the states.
        callback: called after each step.

    A chain stays for one move where a step is not finite or its energy error exceeds 1000 nats, as
    where a proposal is refused. Warns if more than one move in a hundred after warm-up is lost like
    that, or more than half of those of one chain, and if warm-up was too short for the step size to
    settle. Raises `InputError` for a start that is not
    finite, or negative counts.

    >>> from pushforward.mcmc import HMC
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> chains = run(HMC(), log_p, torch.zeros(2000, 1), 20, warmup=30, seed=0)
    >>> abs(float(chains.x.var()) - 1) < 0.1
    True
    """
    check_states(x)
    whole("steps", steps)
    whole("warmup", warmup, least=0)
    generator = resolve(seed, generator, x.device, rows=len(x))
    state, cost = started(kernel, log_p, x), 1.0
    if step is not None:
        positive("step", step)
    size = torch.tensor(float(step or kernel.step), dtype=x.dtype, device=x.device)
    acceptance, lost = torch.zeros_like(state.log_p), torch.zeros_like(state.log_p)
    kept = []
    for k in range(warmup + steps):
        move = kernel.move(log_p, state, size, generator)
        state, cost = move.state, cost + spent(kernel, move)
        if k < warmup:
            size = adapted(kernel, size, move.acceptance, gain=2 * (k + 1) ** -0.5)
        else:
            acceptance += move.acceptance
            lost += move.diverged
            if trace:
                kept.append(state.x)
        if callback is not None:
            callback()
    _warn(lost / steps, float(size))
    settled = warmup == 0 or _settled(kernel, acceptance / steps, float(size))
    return Chains(
        state.x,
        state.log_p,
        acceptance / steps,
        lost > 0,
        float(size),
        round(cost),
        settled,
        torch.stack(kept) if trace else None,
    )


def _warn(lost: Tensor, step: float) -> None:
    """Warn if the shares of moves at which chains diverged, `(B,)`, are too large."""
    mean, stuck = float(lost.mean()), int((lost > _STUCK).sum())
    if mean > _MANY or stuck:
        warnings.warn(
            f"{mean:.2g} of the moves of {len(lost)} chains diverged at step size {step:.3g}, most "
            f"of those of {stuck} chains: what they found is not to be trusted; take a smaller "
            "step, or look at the energy far from the data",
            ConvergenceWarning,
            stacklevel=4,
        )


def _settled(kernel: MarkovKernel, acceptance: Tensor, step: float) -> bool:
    """Whether the acceptance rates `(B,)` are in the mean near their goal; warns if they are not.

    Of one chain nothing can be told.
    """
    if kernel.target is None or len(acceptance) < 2:
        return True
    mean, stderr = float(acceptance.mean()), float(acceptance.std()) / len(acceptance) ** 0.5
    if not abs(mean - kernel.target) > _NEAR + 4 * stderr:
        return True
    warnings.warn(
        f"the step size has not settled: at {step:.3g}, chains accept {mean:.2g} of their moves "
        f"after warm-up, where {type(kernel).__name__} aims at {kernel.target:.2g}. They explore "
        "less than they could: give a longer warmup, or a step nearer to the right one",
        ConvergenceWarning,
        stacklevel=4,
    )
    return False
