"""A lower bound of log-probabilities where the loss of training is one, with nothing integrated."""

from __future__ import annotations

import math
from typing import Any

import torch

from pushforward import state
from pushforward._random import resolve
from pushforward.errors import CapabilityError
from pushforward.estimates import LogProb
from pushforward.protocols import Together, Transport, follows
from pushforward.samplers.evidence import GROUPS, check_draws

__all__ = ["block_evidence_bound"]


def block_evidence_bound(
    transport: Transport,
    z: Any,
    *,
    draws: int = 64,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> LogProb:
    r"""A lower bound of the log-probability of sequences, in nats, and its Monte Carlo error.

    Of a process whose network is asked for all blocks of a sequence at once (`BlockMasking`),

        log p(z) >= -E loss(pred, z, x),    x = for_training(z)

    the expectation over which symbols of each block are hidden (Arriola et al. 2025). There are no
    times at which it starts or stops, so nothing is left out. It is the mean over `draws`, and the
    standard error is that of 16 groups of them; both `(B,)`. Blocks of one symbol hide that symbol
    for certain: the value is then the log-probability itself, without an error.

    Args:
        transport: the model and its process.
        z: sequences.
        draws: evaluations of the model for each sequence, a multiple of 16.

    Raises `CapabilityError` for another process, `InputError` for draws that do not fit.

    >>> from pushforward import processes, spaces
    >>> process = processes.BlockMasking(spaces.Tokens(4), block=1)
    >>> even = Transport(lambda x, t, c=None: torch.zeros(*x[0].shape, 4), process)
    >>> found = block_evidence_bound(even, torch.tensor([[0, 3, 1]]), draws=16, seed=0)
    >>> round(float(found.value), 4) == round(-3 * math.log(4), 4), float(found.stderr)
    (True, 0.0)
    """
    process = transport.process
    if not (follows(process, Together) and "bound" in process.supports):
        raise CapabilityError(
            f"{type(process).__name__} is not asked for all blocks at once: its bound, if it has "
            "one, is samplers.evidence_bound"
        )
    n, device = state.rows(z), state.device(z)
    generator = resolve(seed, generator, device, rows=n)
    each = check_draws(draws) // GROUPS
    # Which symbols are hidden does not depend on the time.
    t = torch.zeros(n, device=device)
    groups = []
    for _ in range(GROUPS):
        total = torch.zeros(n, dtype=torch.float64, device="cpu")
        for _ in range(each):
            x = process.for_training(z, t, generator)
            total += process.loss(transport.model(x, t), z, x, t).double().cpu()
        groups.append(total / each)
    cost = torch.stack(groups)
    value, stderr = -cost.mean(0), cost.std(0) / math.sqrt(GROUPS)
    return LogProb(value.to(device), stderr.to(device), "bound", nfe=draws)
