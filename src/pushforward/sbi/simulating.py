"""Pairs of parameters and observations, drawn from a prior and a simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pushforward import checks, state
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import InputError
from pushforward.protocols import Distribution

__all__ = ["Pairs", "Simulator", "pairs_of", "simulate"]

Simulator = Callable[[Tensor, int], Tensor]
"""`f(theta, seed)`: an observation `(m, *shape)` for each row of parameters `(m, d)`."""


@dataclass(frozen=True)
class Pairs:
    """Parameters and their observations, row by row.

    Args:
        theta: `(n, d)`.
        y: `(n, *shape)`.
        failed: how many simulations were left out, since they were not finite.
    """

    theta: Tensor = field(repr=False)
    y: Tensor = field(repr=False)
    failed: int = 0

    def __len__(self) -> int:
        return len(self.theta)

    def __str__(self) -> str:
        lost = f", {self.failed} simulations that failed left out" if self.failed else ""
        return f"{len(self):,} pairs of {self.theta.shape[1]} parameters{lost}"


def simulate(
    prior: Distribution[Tensor],
    simulator: Simulator,
    n: int,
    *,
    batch_size: int = 1000,
    seed: int | None = None,
) -> Pairs:
    """`n` pairs: parameters from the prior, observations from the simulator.

    Simulations with NaN or infinity are left out and counted. The posterior that is learned from
    the rest is that given that a simulation succeeds.

    Args:
        prior: `sample(n, seed=)` gives parameters `(n, d)`.
        simulator: `f(theta, seed)` with parameters `(m, d)` gives observations `(m, *shape)`; all
            it draws comes from the seed.
        n: how many.
        batch_size: how many go to the simulator at once.
        seed: of parameters and observations.

    Raises `InputError` for a simulator that returns no row for each parameter, or if all fail.

    >>> from pushforward.distributions import Box
    >>> pairs = simulate(Box([0.0], [1.0]), lambda theta, seed: theta.log(), 50, seed=0)
    >>> pairs.theta.shape, pairs.y.shape
    (torch.Size([50, 1]), torch.Size([50, 1]))
    """
    checks.whole("n", n)
    size = checks.whole("batch_size", batch_size)
    seed = fresh_seed(seed)
    theta = prior.sample(n, seed=derived_seed(seed, 0))
    if not isinstance(theta, Tensor) or theta.ndim != 2:
        what = tuple(theta.shape) if isinstance(theta, Tensor) else type(theta).__name__
        raise InputError(f"a prior is of vectors of parameters (n, d), not {what}")
    found = []
    for k, part in enumerate(theta.split(size)):
        y = torch.as_tensor(simulator(part, derived_seed(seed, k + 1)))
        if y.ndim < 1 or len(y) != len(part):
            raise InputError(
                f"a simulator f(theta, seed) gives an observation for each of {len(part)} rows of "
                f"parameters, not {tuple(y.shape)}"
            )
        found.append(y[:, None] if y.ndim == 1 else y)
    return pairs_of(theta, torch.cat(found))


def pairs_of(theta: Tensor, y: Tensor) -> Pairs:
    """Pairs of which those with numbers that are not finite are left out.

    Raises `InputError` for other shapes, or fewer than two pairs that are finite.
    """
    theta, y = torch.as_tensor(theta), torch.as_tensor(y)
    if theta.ndim != 2 or y.ndim < 2 or len(theta) != len(y):
        raise InputError(
            f"parameters (n, d) and observations (n, *shape), not {tuple(theta.shape)} and "
            f"{tuple(y.shape)}"
        )
    fine = state.finite_rows(theta) & state.finite_rows(y)
    if int(fine.sum()) < 2:
        raise InputError(f"{int((~fine).sum())} of {len(fine)} simulations are not finite")
    return Pairs(theta[fine].float(), y[fine].float(), int((~fine).sum()))
