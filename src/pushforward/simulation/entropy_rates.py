r"""What is known of the particles at one time: the entropy's rate, its production, the dissipation.

With the velocity `v = b - D s` of the probability flow and `S = -E log p_t`:

    dS/dt = E div v = -E s . v,     production = E v . D^-1 v = dS/dt + E v . D^-1 b,

the last of which is the entropy that the heat takes into the surroundings (Seifert 2012).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor

from pushforward._shapes import per_event_sum
from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.flux import Flux

__all__ = ["EntropyRates", "measured"]


class EntropyRates(NamedTuple):
    """Means over particles, each followed by its standard error; NaN for what is not known.

    The errors are those of a mean over independent particles. That of a learned score is not in
    them: `entropy_rate` and `expansion` have the same expectation for the exact score, and
    `stein` is zero.

    Args:
        entropy_rate: `-E s . v`, of the differential entropy in nats; this one and those of the
            surroundings are known where there is noise in every direction.
        expansion: `E div v`, the same by the divergence; known where the density is.
        production: `E v . D^-1 v`.
        dissipation: `E v . D^-1 b`, the part that goes into the surroundings.
        stein: `1 + E (x - m) . D s / tr D`, which is zero for an exact score.
    """

    entropy_rate: float
    entropy_rate_stderr: float
    expansion: float
    expansion_stderr: float
    production: float
    production_stderr: float
    dissipation: float
    dissipation_stderr: float
    stein: float


def measured(x: Tensor, flux: Flux, diffusivity: Diffusivity) -> EntropyRates:
    """The rates at particles `(B, *event)` with their flux."""
    growth = (math.nan, math.nan) if flux.divergence is None else _mean(flux.divergence)
    numbers = (*(math.nan,) * 2, *growth, *(math.nan,) * 4)
    if diffusivity.full:
        force = diffusivity.inverse(flux.velocity)
        numbers = (
            *_mean(-per_event_sum(flux.score * flux.velocity)),
            *growth,
            *_mean(per_event_sum(force * flux.velocity)),
            *_mean(per_event_sum(force * flux.drift)),
        )
    from_mean = per_event_sum((x - x.mean(0)) * diffusivity.flux(flux.score))
    return EntropyRates(*numbers, 1 + float(from_mean.mean()) / diffusivity.trace)


def _mean(values: Tensor) -> tuple[float, float]:
    double = values.detach().cpu().double()
    return float(double.mean()), float(double.std()) / math.sqrt(len(double))
