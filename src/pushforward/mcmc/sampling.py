"""Draws from a density known up to a constant, with warm-up and diagnostics."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pushforward import registry
from pushforward._random import resolve
from pushforward.checks import whole
from pushforward.mcmc.chain_draws import ChainDraws
from pushforward.mcmc.kernel import MarkovKernel
from pushforward.mcmc.metric import Whitened
from pushforward.mcmc.target import LogDensity, check_states
from pushforward.mcmc.windowed import MetricKind, started, warm_up

__all__ = ["sample_chains"]


@torch.no_grad()
def sample_chains(
    log_p: LogDensity,
    x: Tensor,
    draws: int = 1000,
    *,
    kernel: str | MarkovKernel = "nuts",
    warmup: int = 1000,
    metric: MetricKind = "diagonal",
    seed: int | None = None,
    generator: torch.Generator | None = None,
    callback: Callable[[], None] | None = None,
) -> ChainDraws:
    """Chains from `x`, `(chains, *event)`, all in one batch.

    Args:
        log_p: a log-density up to a constant, `(B, *event) -> (B,)`, of any rows on their own.
        x: where chains start, apart from each other: then R-hat can tell.
        draws: of each chain, after warm-up.
        kernel: a short name, `pushforward list kernels`, or a kernel.
        warmup: steps before, in which step size and metric adapt to all chains together.
        metric: `diagonal`, `dense` for numbers that depend on each other linearly, or `identity`.
        seed: for all randomness; or give a `generator`.
        callback: called after each step.

    `found.warnings()` says in words what is wrong. Raises `InputError` for starts that are not
    finite, numbers out of range, and names that do not exist.

    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> found = sample_chains(log_p, torch.zeros(8, 2), 100, warmup=100, seed=0)
    >>> found.x.shape, bool((found.summary().bulk > 400).all())
    (torch.Size([100, 8, 2]), True)
    """
    check_states(x)
    whole("draws", draws)
    chosen: MarkovKernel = registry.resolve("kernels", kernel)
    noise = resolve(seed, generator, x.device, rows=len(x))
    warm = warm_up(chosen, log_p, x, warmup, metric=metric, generator=noise, callback=callback)
    whitened = Whitened(log_p, warm.metric)
    state = started(chosen, whitened, warm.metric.inward(warm.x))
    step = torch.tensor(warm.step).to(x)
    kept: dict[str, list[Tensor]] = {
        name: [] for name in ("x", "log_p", "acceptance", "diverged", "evaluations", "energy")
    }
    for _ in range(draws):
        move = chosen.move(whitened, state, step, noise)
        state = move.state
        taken = move.evaluations
        if taken is None:
            taken = torch.full_like(state.log_p, float(chosen.evaluations))
        kept["x"].append(warm.metric.outward(state.x))
        kept["log_p"].append(state.log_p)
        kept["acceptance"].append(move.acceptance)
        kept["diverged"].append(move.diverged)
        kept["evaluations"].append(taken)
        if move.energy is not None:
            kept["energy"].append(move.energy)
        if callback is not None:
            callback()
    found = {name: torch.stack(parts) for name, parts in kept.items() if parts}
    return ChainDraws(
        found["x"], found["log_p"], found["acceptance"], found["diverged"], found["evaluations"],
        found.get("energy"), warm.step, warm.metric, warm.evaluations, chosen.target,
        chosen.evaluations if move.evaluations is not None else None,
    )  # fmt: skip
