"""The posterior given several independent observations of the same parameters."""

from __future__ import annotations

import math
from functools import partial, singledispatch
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import checks, registry
from pushforward._random import derived_seed, fresh_seed, start_noise
from pushforward.distributions import (
    Box,
    ColoredNormal,
    IndependentProduct,
    LogNormal,
    Normal,
    without_bounds,
)
from pushforward.errors import CapabilityError
from pushforward.guidance import (
    FactorizedComposition,
    GaussComposition,
    JacobianComposition,
    ScoreComposition,
)
from pushforward.models import Diffusion
from pushforward.models.simulation import times_of
from pushforward.protocols import Time, Transport
from pushforward.samplers import PreconditionedLangevin, run
from pushforward.sbi.posterior import SimulatorPosterior

__all__ = ["normal_form", "sample_given_all"]

Rule = Literal["gauss", "jac", "langevin"]

_DRAWS = 500
"""Of each individual posterior, whose precision GAUSS needs."""

_LEVEL = 0.2
"""The last level of noise of Langevin steps, in deviations of a posterior of one observation. The
error of a score grows like one over the level, and that of all observations together with them."""


def sample_given_all(
    posterior: SimulatorPosterior,
    n: int,
    y: Tensor,
    *,
    rule: Rule = "gauss",
    steps: int = 50,
    seed: int | None = None,
) -> Tensor:
    r"""`n` draws of `p(theta | y_1, ..., y_m)`, `(n, d)`, from a score learned on single pairs.

    The observations are independent given the parameters. The scores of the `m` posteriors of one
    observation each, and that of the prior, are composed in one common system of coordinates
    without bounds, in which the prior is normal.

    | rule | good for | evaluations of the network |
    |---|---|---|
    | `gauss` | any number, posteriors of one observation nearly normal; else two | `m` a step |
    | `jac` | a few, modes nearly normal: errors of derivatives add up | `m (d + 1)` a step |
    | `langevin` | posteriors of any shape; a few: errors of scores add up | `5 m` a step |

    Errors of the scores add up over the observations, and more of them do on the cosine schedule
    than on the linear one, `NPSE(..., model={"process": processes.Gaussian()})`, which is the one
    to take for many observations.

    Args:
        posterior: by `NPSE`, with `unbounded=True`.
        n: how many draws.
        y: the observations, `(m, k)`.
        rule: `gauss` (Linhart et al. 2024), `jac` (likewise), or `langevin` (Geffner et al. 2023).
        steps: of the sampler, or levels of noise.
        seed: of all draws.

    Raises `CapabilityError` for a posterior that is not of a score, or a prior that is not normal
    in coordinates without bounds.

    >>> from pushforward import sbi
    >>> from pushforward.distributions import Box
    >>> prior = Box([0.0], [1.0])
    >>> pairs = sbi.simulate(prior, lambda theta, seed: theta, 100, seed=0)
    >>> posterior = sbi.NPSE(prior, pairs, steps=3, width=8)
    >>> sample_given_all(posterior, 5, torch.tensor([[0.3], [0.4]]), steps=10, seed=0).shape
    torch.Size([5, 1])
    """
    checks.whole("n", n)
    checks.one_of("rule", rule, ("gauss", "jac", "langevin"))
    model, coordinates = posterior.model, posterior.coordinates
    if not isinstance(model, Diffusion):
        raise CapabilityError(
            f"scores are composed, and a {type(model).__name__} has none: learn it with NPSE"
        )
    if coordinates.unconstrained is None and without_bounds(posterior.prior) is not None:
        raise CapabilityError("this posterior was learned with bounds: take unbounded=True")
    process: Any = model.process
    rows = posterior.observations(y, len(y))
    seed = fresh_seed(seed)
    mean, covariance = normal_form(posterior.prior)
    root = coordinates.root
    # Common coordinates: w = R^{-1} u, where one observation has w = z + R^{-1} m(y).
    into = torch.linalg.inv(root)
    shifts = coordinates.shift(rows) @ into.mT
    features = model.condition.required(coordinates.features(rows), len(rows), model.device)

    def denoised(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        shift, own = c
        alpha = process.schedule.values(t)[0]
        alpha = alpha.reshape(-1, 1) if isinstance(alpha, Tensor) and alpha.ndim else alpha
        found: Tensor = model.predictor(x_t - alpha * shift, t, own)
        return found + shift

    common: dict[str, Any] = {
        "model": denoised,
        "contexts": (shifts, features),
        "process": process,
        "mean": into @ mean,
        "covariance": _symmetric(into @ covariance @ into.mT),
    }
    composed: ScoreComposition
    if rule == "jac":
        composed = JacobianComposition(**common)
    else:
        spreads = _individual(posterior, rows, derived_seed(seed, 1))
        composed = GaussComposition(**common, covariances=spreads)
    times = times_of(process, model.grid, steps)
    start = start_noise(seed, slice(0, n))
    x = process.prior((len(mean),), times[0]).sample(n, generator=start)
    with torch.no_grad(), model.evaluating():
        if rule == "langevin":
            assert isinstance(composed, GaussComposition)
            w = _langevin(FactorizedComposition(**common), composed, x, times, seed)
        else:
            sampler = registry.resolve("samplers", process.sampler)
            found = run(sampler, Transport(composed, process), x, times, seed=seed)
            w = composed(found, torch.tensor(times[-1]))
    u = w @ root.mT
    return u if coordinates.unconstrained is None else coordinates.unconstrained(u)


def _langevin(
    factorized: FactorizedComposition,
    gauss: GaussComposition,
    x: Tensor,
    times: list[float],
    seed: int,
) -> Tensor:
    """Draws by Langevin steps, in units of the covariance that normal posteriors would have."""

    kept = [t for t in times if factorized.weights(t)[1] > _LEVEL * factorized.weights(t)[0]]
    covariance = partial(factorized.preconditioner, gauss.covariances)
    x = PreconditionedLangevin().run(factorized.score, covariance, x, kept, seed=seed)
    return x / factorized.weights(kept[-1])[0]


def _individual(posterior: SimulatorPosterior, rows: Tensor, seed: int) -> Tensor:
    """Covariances of the posteriors of one observation each, in `z`, `(m, d, d)`."""
    each = rows.repeat_interleave(_DRAWS, 0)
    z = posterior.model.sample(
        len(each), posterior.coordinates.features(each), seed=seed, **posterior.sampling
    )
    z = z.reshape(len(rows), _DRAWS, -1)
    gap = z - z.mean(1, keepdim=True)
    # What is needed is the inverse: divided so, the mean of the inverse is right for normal draws.
    found = gap.mT @ gap / (_DRAWS - z.shape[-1] - 2)
    return found + 1e-6 * torch.eye(z.shape[-1])


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.mT) / 2


@singledispatch
def normal_form(prior: Any) -> tuple[Tensor, Tensor]:
    """Mean and covariance of a prior in its coordinates without bounds, in which it is normal.

    Raises `CapabilityError` for a prior that is not.

    >>> normal_form(Box([0.0], [2.0]))
    (tensor([0.]), tensor([[1.]]))
    """
    raise CapabilityError(
        f"scores are composed with that of the prior, and a {type(prior).__name__} is not known to "
        "be normal without bounds: take Box, LogNormal, Normal, ColoredNormal, or a product of them"
    )


@normal_form.register(Box)
@normal_form.register(LogNormal)
def _standard(prior: Any) -> tuple[Tensor, Tensor]:
    d = len(prior.low if isinstance(prior, Box) else prior.mean)
    return torch.zeros(d), torch.eye(d)


@normal_form.register
def _(prior: Normal) -> tuple[Tensor, Tensor]:
    d = math.prod(prior.shape)
    if not prior.space.white:
        raise CapabilityError("a normal prior on a colored space: take ColoredNormal")
    return torch.zeros(d), prior.scale**2 * torch.eye(d)


@normal_form.register
def _(prior: ColoredNormal) -> tuple[Tensor, Tensor]:
    return prior.mean, prior.covariance


@normal_form.register
def _(prior: IndependentProduct) -> tuple[Tensor, Tensor]:
    parts = [normal_form(part) for part in prior.parts]
    return torch.cat([mean for mean, _ in parts]), torch.block_diag(*(c for _, c in parts))
