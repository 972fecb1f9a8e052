"""MMD and energy distance, of samples and of Gaussian mixtures in any dimension."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pushforward import metrics
from pushforward.divergences import mixture
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import floor
from pushforward.divergences.given import (
    GaussianPair,
    MixturePair,
    SamplePair,
    refused,
    understood,
)
from pushforward.errors import InputError
from pushforward.metrics.mmd import default_bandwidths

__all__ = ["energy_distance", "mmd"]

_DRAW = "draw samples of both with .sample(n)"


def mmd(p: Any, q: Any, *, bandwidths: Sequence[float] | None = None, seed: int = 0) -> Divergence:
    r"""The squared maximum mean discrepancy `E k(X, X') + E k(Y, Y') - 2 E k(X, Y)`.

    With the kernel of `metrics.mmd`, the mean of Gaussian ones of several `bandwidths`, whose
    unbiased estimate from samples this is; for normal distributions and Gaussian mixtures exact.

    Raises `InputError` for distributions without bandwidths, since there are no points to take them
    from; `CapabilityError` for other distributions.

    >>> from pushforward.distributions import Normal
    >>> round(mmd(Normal((2,)), Normal((2,), scale=2.0), bandwidths=[1.0]).value, 6)
    0.111111
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):
        # Once for all: the reference is the second set, in halves of both sets too.
        widths = default_bandwidths(pair.y, seed=seed) if bandwidths is None else bandwidths
        found = metrics.mmd(pair.x, pair.y, bandwidths=widths)
        typical = floor(
            lambda x, y: metrics.mmd(x, y, bandwidths=widths).value, pair.x, pair.y, seed=seed
        )
        return Divergence(found.value, found.stderr, "U-statistic", "", *typical, pair.size)
    if isinstance(pair, GaussianPair):
        pair = pair.mixtures
    if not isinstance(pair, MixturePair):
        raise refused("the MMD", pair, _DRAW)
    if not bandwidths or not all(0 < width < math.inf for width in bandwidths):
        raise InputError(
            f"bandwidths={bandwidths}: the MMD of distributions needs those of its kernel"
        )
    return Divergence(mixture.mmd(pair, bandwidths), 0.0, "closed form")


def energy_distance(p: Any, q: Any, *, seed: int = 0) -> Divergence:
    r"""`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, of which others take the root or the half.

    From samples the unbiased estimate of `metrics.energy_distance`; for normal distributions and
    Gaussian mixtures one integral on a line. Raises `CapabilityError` for other distributions.

    >>> from pushforward.distributions import Normal
    >>> round(energy_distance(Normal((1,)), Normal((1,), scale=2.0)).value, 6)
    0.183111
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):
        found = metrics.energy_distance(pair.x, pair.y)
        typical = floor(lambda x, y: metrics.energy_distance(x, y).value, pair.x, pair.y, seed=seed)
        return Divergence(found.value, found.stderr, "U-statistic", "", *typical, pair.size)
    if isinstance(pair, GaussianPair):
        pair = pair.mixtures
    if not isinstance(pair, MixturePair):
        raise refused("the energy distance", pair, _DRAW)
    integral = mixture.energy_distance(pair)
    return Divergence(integral.value, integral.error, "integral", converged=integral.converged)
