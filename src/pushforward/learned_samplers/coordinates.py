"""The coordinates in which paths move: centered at the target, and about as wide."""

from __future__ import annotations

import math

import torch

from pushforward import mcmc
from pushforward._random import derived_seed
from pushforward.checks import one_of
from pushforward.errors import CapabilityError, ConvergenceError, InputError
from pushforward.evidence import NormalStart, fitted_start, laplace_start
from pushforward.targets import Target

__all__ = ["COORDINATES", "fitted_coordinates"]

COORDINATES = ("chains", "laplace", "base", "none")

_CHAINS = 64
_MOST = 256
"""Numbers of a state up to which chains are to find a covariance."""


def fitted_coordinates(target: Target, kind: str = "chains", *, seed: int = 0) -> NormalStart:
    """A normal law whose round coordinates are those of the paths.

    `chains` takes mean and covariance of short chains of the no-U-turn sampler from many places,
    which are wide where modes lie far apart; above 256 numbers, and where chains lead nowhere, it
    is `laplace`, the curvature at the highest mode that is found, which suits one mode alone.
    `base` takes the moments of draws of the target's base, such as a prior, and `none` the origin
    and one. What is found changes how well a sampler does, never what its weights mean.

    Raises `InputError` for another kind, `CapabilityError` for the base of a target without one.

    >>> from pushforward.targets import student
    >>> bool(fitted_coordinates(student(2, 5.0), "none").log_det == 0)
    True
    """
    one_of("coordinates", kind, COORDINATES)
    dim = math.prod(target.unbounded_shape)
    noise = torch.Generator().manual_seed(derived_seed(seed, 0))
    if kind == "none":
        eye = torch.eye(dim, dtype=torch.float64)
        return NormalStart(eye.new_zeros(target.unbounded_shape), eye)
    if kind == "base":
        if target.base is None:
            raise CapabilityError(f"{target.name} has no base: take coordinates='chains'")
        return fitted_start(target.base.sample(100 * dim, generator=noise), 1.0)
    places = target.start(256, generator=noise)
    target.check(places)
    if kind == "laplace" or dim > _MOST:
        return laplace_start(target, places, inflate=1.0)
    try:
        chains = mcmc.sample_chains(
            target, places[:_CHAINS], max(20, 4 * dim // _CHAINS), warmup=100,
            kernel=mcmc.NUTS(depth=5), seed=derived_seed(seed, 1),
        )  # fmt: skip
        return fitted_start(chains.x.flatten(0, 1), 1.0)
    except (ConvergenceError, InputError):
        return laplace_start(target, places, inflate=1.0)
