"""Posteriors learned from simulations: by a flow, by a score, by flow matching."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.data import Data
from pushforward.protocols import Distribution
from pushforward.sbi.posterior import SimulatorPosterior
from pushforward.sbi.simulating import Pairs, pairs_of
from pushforward.training import fit

__all__ = ["FMPE", "NPE", "NPSE"]


def NPE(
    prior: Distribution[torch.Tensor],
    pairs: Pairs | tuple[torch.Tensor, torch.Tensor],
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
        seed: of weights and training.
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
    own = {"prior": prior, "unbounded": unbounded}
    return _learned(pairs, {"method": "npe", "kind": kind, **own}, seed, settings)


def NPSE(
    prior: Distribution[torch.Tensor],
    pairs: Pairs | tuple[torch.Tensor, torch.Tensor],
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

    The schedule is the cosine: it has more of its times at low noise than the linear one, where
    narrow posteriors are learned. The scores compose for several independent observations: see
    `sample_given_all`.

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
    SimulatorPosterior(of 1 parameters given 1 numbers, by a Diffusion)
    """
    own = {"prior": prior, "unbounded": unbounded, "sampling": sampling}
    network = {"width": width, "depth": depth, "model": model}
    return _learned(pairs, {"method": "npse", **network, **own}, seed, settings)


def FMPE(
    prior: Distribution[torch.Tensor],
    pairs: Pairs | tuple[torch.Tensor, torch.Tensor],
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
    SimulatorPosterior(of 1 parameters given 1 numbers, by a FlowMatching)
    """
    own = {"prior": prior, "unbounded": unbounded, "sampling": sampling}
    network = {"width": width, "depth": depth, "model": model}
    return _learned(pairs, {"method": "fmpe", **network, **own}, seed, settings)


def _learned(
    pairs: Pairs | tuple[torch.Tensor, torch.Tensor],
    options: dict[str, Any],
    seed: int,
    settings: dict[str, Any],
) -> SimulatorPosterior:
    pairs = pairs if isinstance(pairs, Pairs) else pairs_of(*pairs)
    data = Data(pairs.theta, c=pairs.y.flatten(1), name="simulations")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        posterior = SimulatorPosterior.for_data(data, **options)
    posterior.run = fit(posterior, data, **{"progress": False, "seed": seed, **settings})
    return posterior
