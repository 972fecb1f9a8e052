"""MMD and energy distance: exact for Gaussian mixtures in any dimension, else from samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from pushforward import metrics
from pushforward._gaussian_kernels import mean_gaussian
from pushforward.divergences import mixture
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.floors import kernel_floor
from pushforward.divergences.given import (
    GaussianPair,
    MixturePair,
    SamplePair,
    drawn,
    on_draws,
    understood,
)
from pushforward.errors import InputError
from pushforward.metrics.mmd import default_bandwidths

__all__ = ["energy_distance", "mmd"]


def mmd(
    p: Any,
    q: Any,
    *,
    bandwidths: Sequence[float] | None = None,
    n: int = 2000,
    seed: int = 0,
) -> Divergence:
    r"""The squared maximum mean discrepancy `E k(X, X') + E k(Y, Y') - 2 E k(X, Y)`.

    With the kernel of `metrics.mmd`, the mean of Gaussian ones of several `bandwidths`, whose
    unbiased estimate from samples this is; for normal distributions and Gaussian mixtures exact,
    for others from `n` draws of each.

    Raises `InputError` for normal distributions and mixtures without bandwidths, since there are no
    points to take them from; `CapabilityError` for tables, whose states have no distances, and what
    cannot be sampled.

    >>> from pushforward.distributions import Normal
    >>> round(mmd(Normal((2,)), Normal((2,), scale=2.0), bandwidths=[1.0]).value, 6)
    0.111111
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):
        # Once for all: the reference is the second set, in halves of both sets too.
        widths = default_bandwidths(pair.y, seed=seed) if bandwidths is None else bandwidths
        found = metrics.mmd(pair.x, pair.y, bandwidths=widths)
        typical = kernel_floor(
            lambda distance: mean_gaussian(distance.square_(), widths), pair.x, pair.y, seed=seed
        )
        return Divergence(found.value, found.stderr, "U-statistic", "", *typical, pair.size)
    if isinstance(pair, GaussianPair):
        pair = pair.mixtures
    if not isinstance(pair, MixturePair):
        draws = drawn("the MMD", pair, n, seed)
        return on_draws(mmd(draws.x, draws.y, bandwidths=bandwidths, seed=seed))
    if not bandwidths or not all(0 < width < math.inf for width in bandwidths):
        raise InputError(
            f"bandwidths={bandwidths}: the MMD of distributions needs those of its kernel"
        )
    return Divergence(mixture.mmd(pair, bandwidths), 0.0, "closed form")


def energy_distance(p: Any, q: Any, *, n: int = 2000, seed: int = 0) -> Divergence:
    r"""`2 E|X - Y| - E|X - X'| - E|Y - Y'|`, of which others take the root or the half.

    From samples the unbiased estimate of `metrics.energy_distance`; for normal distributions and
    Gaussian mixtures one integral on a line, for other distributions from `n` draws of each.
    Raises `CapabilityError` for tables and what cannot be sampled.

    >>> from pushforward.distributions import Normal
    >>> round(energy_distance(Normal((1,)), Normal((1,), scale=2.0)).value, 6)
    0.183111
    """
    pair = understood(p, q)
    if isinstance(pair, SamplePair):
        found = metrics.energy_distance(pair.x, pair.y)
        typical = kernel_floor(torch.neg, pair.x, pair.y, seed=seed)
        return Divergence(found.value, found.stderr, "U-statistic", "", *typical, pair.size)
    if isinstance(pair, GaussianPair):
        pair = pair.mixtures
    if not isinstance(pair, MixturePair):
        draws = drawn("the energy distance", pair, n, seed)
        return on_draws(energy_distance(draws.x, draws.y, seed=seed))
    integral = mixture.energy_distance(pair)
    return Divergence(integral.value, integral.error, "integral", converged=integral.converged)
