"""Posteriors learned from simulations: by a flow, by a score, by flow matching."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.models import Diffusion, FlowMatching, GenerativeModel, NormalizingFlow
from pushforward.protocols import Distribution
from pushforward.sbi.coordinates import Coordinates, fit_coordinates
from pushforward.sbi.networks import PosteriorNetwork
from pushforward.sbi.posterior import SimulatorPosterior
from pushforward.sbi.simulating import Pairs, pairs_of
from pushforward.training import fit

__all__ = ["FMPE", "NPE", "NPSE"]


def NPE(
    prior: Distribution[Tensor],
    pairs: Pairs | tuple[Tensor, Tensor],
    *,
    kind: str = "spline-coupling",
    unbounded: bool = True,
    seed: int = 0,
    **settings: Any,
) -> SimulatorPosterior:
    """Neural posterior estimation: a normalizing flow (Papamakarios & Murray 2016).

    The flow learns by maximum likelihood; draws and densities cost one evaluation.

    Args:
        prior: of the parameters, that the pairs were simulated from.
        pairs: `simulate(prior, simulator, n)`, or parameters `(n, d)` and observations.
        kind: of the flow (`pushforward list flows`).
        unbounded: learn parameters with bounded support as vectors without bounds
            (`prior.unconstrained`), which nothing leaks out of; otherwise draws outside of the
            support are rejected.
        seed: of the training.
        settings: of `pushforward.fit`.

    Raises `InputError` for pairs that do not fit the prior.

    >>> from pushforward.distributions import Box
    >>> from pushforward.sbi import simulate
    >>> prior = Box([0.0], [1.0])
    >>> pairs = simulate(prior, lambda theta, seed: theta**2, 200, seed=0)
    >>> posterior = NPE(prior, pairs, steps=5)
    >>> posterior.sample(3, torch.tensor([0.25]), seed=0).shape
    torch.Size([3, 1])
    """
    return _learned(
        prior, pairs, lambda data: NormalizingFlow.for_data(data, kind=kind), unbounded, seed,
        settings,
    )  # fmt: skip


def NPSE(
    prior: Distribution[Tensor],
    pairs: Pairs | tuple[Tensor, Tensor],
    *,
    width: int = 128,
    depth: int = 4,
    unbounded: bool = True,
    seed: int = 0,
    sampling: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **settings: Any,
) -> SimulatorPosterior:
    """Neural posterior score estimation: a diffusion model (Sharrock et al. 2024).

    Its scores compose for several independent observations: see `compose`.

    Args:
        prior, pairs, unbounded, seed, settings: as for `NPE`.
        width, depth: of the network.
        sampling: options of `Diffusion.sample`, such as `{"steps": 50}`.
        model: options of `Diffusion`, such as `{"predict": "v"}`.

    >>> from pushforward.distributions import Box
    >>> from pushforward.sbi import simulate
    >>> prior = Box([0.0], [1.0])
    >>> pairs = simulate(prior, lambda theta, seed: theta**2, 200, seed=0)
    >>> NPSE(prior, pairs, steps=5, width=16)
    SimulatorPosterior(of 1 parameters given (1,), by a Diffusion)
    """

    def made(data: Data) -> GenerativeModel:
        options = {"label_dropout": 0.0, **(model or {})}
        return Diffusion(_network(data, width, depth), **options)

    return _learned(prior, pairs, made, unbounded, seed, settings, sampling)


def FMPE(
    prior: Distribution[Tensor],
    pairs: Pairs | tuple[Tensor, Tensor],
    *,
    width: int = 128,
    depth: int = 4,
    unbounded: bool = True,
    seed: int = 0,
    sampling: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    **settings: Any,
) -> SimulatorPosterior:
    """Flow matching posterior estimation (Wildberger et al. 2023).

    Along the trigonometric path a network of zeros is exact where the coordinates are standard
    normal and independent of the observation; along straight lines that would have to be learned.

    Args:
        prior, pairs, unbounded, seed, settings: as for `NPE`.
        width, depth: of the network.
        sampling: options of `FlowMatching.sample`, such as `{"steps": 50}`.
        model: options of `FlowMatching`.

    >>> from pushforward.distributions import Box
    >>> from pushforward.sbi import simulate
    >>> prior = Box([0.0], [1.0])
    >>> pairs = simulate(prior, lambda theta, seed: theta**2, 200, seed=0)
    >>> FMPE(prior, pairs, steps=5, width=16)
    SimulatorPosterior(of 1 parameters given (1,), by a FlowMatching)
    """

    def made(data: Data) -> GenerativeModel:
        options = {"path": "trigonometric", "label_dropout": 0.0, **(model or {})}
        return FlowMatching(_network(data, width, depth), **options)

    return _learned(prior, pairs, made, unbounded, seed, settings, sampling)


def _network(data: Data, width: int, depth: int) -> PosteriorNetwork:
    return PosteriorNetwork(data.x.shape[1], data.c.shape[1], width, depth)


def _learned(
    prior: Distribution[Tensor],
    pairs: Pairs | tuple[Tensor, Tensor],
    make: Any,
    unbounded: bool,
    seed: int,
    settings: dict[str, Any],
    sampling: dict[str, Any] | None = None,
) -> SimulatorPosterior:
    pairs = pairs if isinstance(pairs, Pairs) else pairs_of(*pairs)
    outside = int((prior.log_prob(pairs.theta) == -torch.inf).sum())
    if outside:
        raise InputError(f"{outside} of {len(pairs)} parameters lie outside of the prior's support")
    free = getattr(prior, "unconstrained", None) if unbounded else None
    coordinates: Coordinates = fit_coordinates(pairs, free)
    z, _ = coordinates.inward(pairs.theta, pairs.y)
    data = Data(z, c=coordinates.observed(pairs.y), name="simulations")
    model = make(data)
    settings = {"progress": False, "standardize": False, "seed": seed, **settings}
    run = fit(model, data, **settings)
    return SimulatorPosterior(prior, coordinates, model, run, sampling)
