"""What a sampler knows of `log Z`, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pushforward.evidence import Bound, LogZ, bennett
from pushforward.evidence.weights import from_log_weights, mean_as_bound
from pushforward.importance import WIDEST
from pushforward.learned_samplers.density import Density
from pushforward.learned_samplers.paths import PathPair, simulate, simulate_back
from pushforward.metrics import mode_shares

__all__ = ["SamplerEstimates", "estimates", "mode_entropy"]

_BOTH = "both chains of kernels are normalized"
_APART = 3.0
"""Standard errors by which estimates both ways may differ, and nats beside."""

_SAME, _INEXACT = 0.02, 0.5
"""Nats, for draws that are exact, and for others, whose modes have shares that are off."""

_COVERED = 0.95
"""The coverage of modes, relative to that of the target, from which none is missing."""


@dataclass(frozen=True)
class SamplerEstimates:
    """What draws of a learned sampler tell, beside exact draws of the target if there are any.

    Args:
        log_z: from importance weights of the sampler's own paths, with the bounds that hold.
        elbo: the mean of their logarithms, below `log Z`.
        ess: their effective sample size as a share of the paths.
        eubo: the mean of log-weights of paths back from exact draws, above `log Z`.
        backward: `log Z` from these paths.
        backward_ess: their effective sample size as a share: what the sampler's paths miss of the
            target makes it small, and leaves `ess` large.
        bar: Bennett's combination of both.
        coverage: the entropy of the sampler's share of each known mode, relative to that of equal
            shares (`mode_entropy`).
        warnings: what is wrong, in sentences.

    Those that need exact draws, or modes, are `None` without.
    """

    log_z: LogZ
    elbo: Bound
    ess: float
    eubo: Bound | None = None
    backward: float | None = None
    backward_ess: float | None = None
    bar: LogZ | None = None
    coverage: float | None = None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [str(self.log_z), str(self.elbo), f"ESS {self.ess:.1%} of the paths"]
        if self.eubo is not None:
            lines.append(str(self.eubo))
        if self.bar is not None:
            lines.append(f"both ways: {self.bar}, ESS back {self.backward_ess:.1%}")
        if self.coverage is not None:
            lines.append(f"entropic mode coverage {self.coverage:.3f}")
        return "\n".join([*lines, *self.warnings])


def mode_entropy(x: Tensor, modes: Tensor) -> float:
    """The entropy of the shares of the nearest of `K` modes, divided by `log K`: 1 if equal.

    The entropic mode coverage of Blessing et al. (2024).

    Args:
        x: samples `(N, *event)`.
        modes: `(K, *event)`.

    >>> modes = torch.tensor([[-1.0], [1.0]])
    >>> mode_entropy(torch.tensor([[-1.1], [0.8]]), modes), mode_entropy(modes[:1], modes)
    (1.0, 0.0)
    """
    share = mode_shares(x, modes)
    return abs(float(-torch.xlogy(share, share).sum()) / math.log(len(modes)))


@torch.no_grad()
def estimates(
    pair: PathPair,
    density: Density,
    n: int,
    *,
    generator: torch.Generator | None = None,
    draws: Tensor | None = None,
    exact: bool = True,
    batch: int = 4096,
) -> SamplerEstimates:
    """Estimates from `n` paths, and from as many back as there are `draws`.

    Args:
        pair: the sampler.
        density: the target.
        n: how many paths.
        generator: for the noise.
        draws: of the target, `(m, d)` in the coordinates of the paths.
        exact: whether these are exact; what others say of `log Z` bounds nothing.
        batch: paths at a time.
    """
    sizes = [min(batch, n - k) for k in range(0, n, batch)]
    parts = [simulate(pair, density, size, generator=generator) for size in sizes]
    weights = torch.cat([part.log_weights for part in parts]).double().cpu()
    ends = torch.cat([pair.position(part.states[-1]) for part in parts])
    log_z = from_log_weights(weights, "importance", True, _BOTH)
    own = SamplerEstimates(log_z, log_z.bounds[0], log_z.ess / n)
    modes = density.target.modes
    # Of a single mode there is nothing to cover.
    if modes is not None and len(modes) > 1:
        x = density.target.constrain(density.outward(ends))
        found, most = mode_entropy(x, modes), 1.0
        if draws is not None:
            most = mode_entropy(density.target.constrain(density.outward(draws)), modes)
        own = replace(own, coverage=found)
        if found < _COVERED * most:
            said = (
                f"The entropic mode coverage is {found:.2f}, that of the target {most:.2f}: modes "
                "are missing or rare."
            )
            own = replace(own, warnings=(said,))
    if draws is None:
        return own
    back = [
        simulate_back(pair, density, part, generator=generator).log_weights
        for part in draws.split(batch)
    ]
    return _both_ways(own, weights, torch.cat(back).double().cpu(), exact)


def _both_ways(
    own: SamplerEstimates, forward: Tensor, backward: Tensor, exact: bool
) -> SamplerEstimates:
    """Estimates with those of paths back from draws of the target."""
    because = f"{_BOTH}, and draws are exact" if exact else "draws of the target are not exact"
    eubo = mean_as_bound(backward, "EUBO", "upper", exact, because)
    other = from_log_weights(-backward, "backward", True, _BOTH)
    value, stderr = bennett(forward, backward)
    half = 1.6449 * stderr
    gap, error = abs(own.log_z.value + other.value), math.hypot(own.log_z.stderr, other.stderr)
    meets = gap <= _APART * error + (_SAME if exact else _INEXACT)
    both = LogZ(
        value, stderr, value - half, value + half, "bar", own.log_z.ess + other.ess,
        meets and stderr <= WIDEST,
        (own.log_z.value, -other.value), (own.elbo, eubo),
    )  # fmt: skip
    said = own.warnings
    if not meets:
        said = (
            *said,
            f"Paths forward give log Z = {own.log_z.value:.3f}, paths back from "
            f"{'exact draws' if exact else 'the replay buffer'} {-other.value:.3f}: the sampler "
            "misses a part of the target.",
        )
    return replace(
        own, eubo=eubo, backward=-other.value, backward_ess=other.ess / len(backward), bar=both,
        warnings=said,
    )  # fmt: skip
