"""The loop of every filter: forecast, take in an observation, and so on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import resolve
from pushforward.errors import InputError, SamplingError
from pushforward.filtering.state_space import Move, StateSpaceModel

__all__ = ["Analysis", "Filtered", "run"]


class Analysis(Protocol):
    """From a forecast to the posterior given one observation: the step that filters differ in."""

    def __call__(self, x: Tensor, observe: Move, y: Tensor, generator: torch.Generator) -> Tensor:
        """As many draws of `p(x | y)`.

        Args:
            x: the forecast, `(M, d)`, draws of the prior.
            observe: draws an observation of each state, as of `StateSpaceModel`.
            y: what was observed, `(k,)`.
            generator: of all randomness.
        """


@dataclass(frozen=True)
class Filtered:
    """What a filter says of the state at each time, given the observations until then.

    Args:
        mean: `(T, d)`.
        std: the standard deviation of each entry, `(T, d)`.
        ensemble: the members at the last time, `(M, d)`.
    """

    mean: Tensor = field(repr=False)
    std: Tensor = field(repr=False)
    ensemble: Tensor = field(repr=False)

    def __str__(self) -> str:
        return f"{len(self.mean)} times, {len(self.ensemble)} members of {self.mean.shape[1]}"


def run(
    model: StateSpaceModel,
    observations: Tensor,
    analysis: Analysis,
    members: int = 1000,
    *,
    start: Tensor | None = None,
    seed: int | None = None,
    generator: torch.Generator | None = None,
) -> Filtered:
    """Carry an ensemble through all observations.

    Args:
        model: how the state moves and is observed.
        observations: `(T, k)`.
        analysis: takes in an observation.
        members: of the ensemble.
        start: the ensemble of an earlier run, `(M, d)`, to go on from; otherwise members of
            `initial` are the first forecast.
        seed: or a `generator` on the CPU.

    Raises `InputError` for observations that are not finite or of another shape than simulated
    ones, and `SamplingError` where an ensemble is not finite: the filter has diverged.

    >>> walk = StateSpaceModel(
    ...     initial=lambda n, g: torch.randn(n, 1, generator=g),
    ...     transition=lambda x, g: 0.9 * x + 0.4 * torch.randn(x.shape, generator=g),
    ...     observe=lambda x, g: x + torch.randn(x.shape, generator=g),
    ... )
    >>> from pushforward.filtering import EnsembleKalman
    >>> x, y = walk.simulate(200, seed=0)
    >>> found = run(walk, y, EnsembleKalman(), members=500, seed=1)
    >>> bool((found.mean - x).square().mean() < (y - x).square().mean())
    True
    """
    g = resolve(seed, generator)
    if start is None:
        x = model.initial(checks.whole("members", members, least=2), g)
    else:
        x = model.transition(start, g)
    expected = tuple(model.observe(x[:1], torch.Generator().manual_seed(0)).shape[1:])
    if observations.ndim != 2 or tuple(observations.shape[1:]) != expected:
        raise InputError(
            f"observations are one row (k,) = {expected} for each time, not of shape "
            f"{tuple(observations.shape)}"
        )
    if not bool(observations.isfinite().all()):
        raise InputError("observations are not finite: leave out times without an observation")
    means, deviations = [], []
    for k, y in enumerate(observations):
        forecast = x if k == 0 else model.transition(x, g)
        # An analysis may train a model, and so needs gradients of its own.
        x = analysis(forecast, model.observe, y, g).detach()
        if not bool(x.isfinite().all()):
            raise SamplingError(f"the filter has diverged: members are not finite at time {k}")
        means.append(x.mean(0))
        deviations.append(x.std(0))
    return Filtered(torch.stack(means), torch.stack(deviations), x)
